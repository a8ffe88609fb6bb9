// Groups in buckets of time: whatever is chosen, told apart and left over, in cubes or not, the
// numbers are those of a walk over the events.

#include "server/statistics/grouped_counts.hpp"
#include "tests/support/counts_in_memory.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/reference_statistics.hpp"

#include <iterator>

using namespace phi;
using namespace phi::statistics;
using namespace phi::testing;

namespace {

constexpr attribute all_attributes[] = {
  attribute::feature, attribute::action,       attribute::route,    attribute::method,
  attribute::status,  attribute::status_class, attribute::instance, attribute::user_kind};

/// From quarters of an hour to days, with gaps, some of them empty.
std::vector<slot_range> random_buckets(random_events& random) {
  std::vector<slot_range> out;
  auto at = static_cast<int64_t>(random.below(400)) - 250;
  for (auto count = 1 + random.below(12); count > 0; --count) {
    auto size = random.below(3) == 0 ? random.below(5) : 20 + random.below(200);
    out.push_back({at, at + static_cast<int64_t>(size)});
    at = out.back().end + static_cast<int64_t>(random.below(2) ? 0 : random.below(40));
  }
  return out;
}

grouped_query random_query(random_events& random, const std::vector<event>& events) {
  grouped_query query{.buckets = random_buckets(random)};
  for (auto count = random.below(4); count > 0; --count) {
    auto kind = all_attributes[random.below(std::size(all_attributes))];
    if (std::find(query.by.begin(), query.by.end(), kind) == query.by.end())
      query.by.push_back(kind);
  }
  for (auto count = random.below(3); count > 0; --count) {
    auto kind = all_attributes[random.below(std::size(all_attributes))];
    for (auto values = 1 + random.below(3); values > 0; --values)
      query.choose(kind, value_of(events[random.below(events.size())], kind));
  }
  query.own = random.below(4) == 0;
  for (size_t i = 0; i < measures; ++i)
    if (can_tell(static_cast<measure>(i), query.used()) && random.below(4))
      query.want(static_cast<measure>(i));
  if (random.below(2) && !query.by.empty()) {
    query.keep.emplace();
    for (auto keys = random.below(4); keys > 0; --keys) {
      group_key key;
      for (auto kind : query.by)
        key.push_back(value_of(events[random.below(events.size())], kind));
      query.keep->insert(key);
    }
  }
  return query;
}

} // namespace

TEST_CASE("groups: what is counted in each bucket is what a walk over the events says") {
  size_t groups = 0;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    random_events random{seed};
    const auto events = random.some(700);
    counts_in_memory counts{events};
    for (int question = 0; question < 120; ++question) {
      CAPTURE(question);
      const auto query = random_query(random, events);
      const auto counted = count_groups(counts, query);
      REQUIRE(counted.size() == query.buckets.size());
      for (size_t i = 0; i < counted.size(); ++i) {
        REQUIRE(counted[i] == reference_groups(events, query, query.buckets[i]));
        groups += counted[i].size();
      }
    }
  }
  CHECK(groups > 5000);
}

TEST_CASE("groups: many cells are counted a part of the buckets at a time") {
  random_events random{11};
  const auto events = random.some(400);
  counts_in_memory counts{events};
  grouped_query query{.by = {attribute::route}};
  for (size_t i = 0; i < measures; ++i)
    if (can_tell(static_cast<measure>(i), query.used()))
      query.want(static_cast<measure>(i));
  for (int64_t slot = -192; slot < 288; slot += 2)
    query.buckets.push_back({slot, slot + 2});
  query.keep.emplace();
  for (int i = 0; i < 19; ++i)
    query.keep->insert({"/r" + std::to_string(i)});
  const auto counted = count_groups(counts, query);
  CHECK(counts.reads == 3); // 240 buckets of 20 groups, 2048 cells at a time
  for (size_t i = 0; i < counted.size(); ++i)
    REQUIRE(counted[i] == reference_groups(events, query, query.buckets[i]));
}

TEST_CASE("groups: several questions read what is counted once, and each has its own answer") {
  random_events random{12};
  const auto events = random.some(500);
  counts_in_memory counts{events};
  for (int round = 0; round < 20; ++round) {
    std::vector<grouped_query> queries;
    for (auto left = 1 + random.below(4); left > 0; --left)
      queries.push_back(random_query(random, events));
    queries.push_back({});
    counts.reads = 0;
    const auto counted = count_groups(counts, queries);
    CHECK(counts.reads <= 1);
    REQUIRE(counted.size() == queries.size());
    for (size_t i = 0; i < queries.size(); ++i)
      for (size_t bucket = 0; bucket < queries[i].buckets.size(); ++bucket)
        REQUIRE(counted[i][bucket]
                == reference_groups(events, queries[i], queries[i].buckets[bucket]));
  }
}

TEST_CASE("groups: cubes tell a measure by the attributes of one of their tables only") {
  auto of = [](auto... kinds) { return static_cast<attribute_set>((0U | ... | set_of(kinds))); };
  using enum attribute;
  CHECK(can_tell(measure::events, of(feature, action, route, method, status, status_class)));
  CHECK(can_tell(measure::events, of(feature, instance)));
  CHECK_FALSE(can_tell(measure::events, of(route, instance)));
  CHECK_FALSE(can_tell(measure::events, of(user_kind)));
  CHECK_FALSE(can_tell(measure::details, of(instance)));
  CHECK(can_tell(measure::details, of(status_class)));
  CHECK(can_tell(measure::durations, of(feature, route, method)));
  CHECK_FALSE(can_tell(measure::durations, of(action)));
  CHECK_FALSE(can_tell(measure::durations, of(status)));
  CHECK(can_tell(measure::users, of(feature, user_kind)));
  CHECK_FALSE(can_tell(measure::users, of(route)));
  CHECK(can_tell(measure::addresses, of()));
  CHECK_FALSE(can_tell(measure::addresses, of(feature)));
}
