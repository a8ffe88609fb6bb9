// Groups in buckets of time: whatever is chosen, told apart and left over, in cubes or not, the
// numbers are those of a walk over the events.

#include "server/statistics/grouped_counts.hpp"
#include "tests/support/counts_in_memory.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/reference_statistics.hpp"

#include <cmath>
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

TEST_CASE("groups: where buckets have more groups than fit, fewer are counted at once") {
  std::vector<event> events;
  for (int day = 0; day < 16; ++day)
    for (int route = 0; route < 100; ++route)
      events.push_back({.time_us = day * day_us, .route = "/" + std::to_string(route)});
  counts_in_memory counts{events};
  grouped_query query{.by = {attribute::route, attribute::method}};
  query.want(measure::events);
  for (int64_t day = 0; day < 16; ++day)
    query.buckets.push_back({day * slots_per_day, (day + 1) * slots_per_day});
  auto check = [&](const group_limits& limits, int reads) {
    CAPTURE(limits.cells);
    counts.reads = 0;
    const auto counted = count_groups(counts, query, limits);
    CHECK(counts.reads == reads);
    REQUIRE(counted.size() == 16);
    for (size_t i = 0; i < counted.size(); ++i)
      CHECK(counted[i] == reference_groups(events, query, query.buckets[i]));
  };
  check({.cells = 1600}, 1);
  check({.cells = 1599}, 1 + 2); // all, then eight twice
  check({.cells = 400}, 1 + 1 + 4);
  check({.cells = 10}, 4 + 16); // one bucket is always counted
  group_builder full{query, {.cells = 10}};
  counts.read(full);
  CHECK(full.is_full());
  CHECK_FALSE(full.parts_of(3));
  full.begin();
  CHECK_FALSE(full.is_full());
  // More than one bucket may hold: others are told together, and none is lost.
  const auto capped = count_groups(counts, query, {.groups = 40});
  for (const auto& groups : capped) {
    CHECK(groups.size() <= 41);
    uint64_t n = 0;
    for (const auto& [key, group] : groups)
      n += group.n;
    CHECK(n == 100);
  }
  CHECK(capped[0].size() == 41);
  const std::string other{other_text};
  CHECK(capped[0].at({other, other}).n == 60);
}

TEST_CASE("groups: behind a bucket with many groups more are counted at once again") {
  std::vector<event> events;
  for (int day = 0; day < 16; ++day)
    for (int route = 0; route < (day == 0 ? 100 : 1); ++route)
      events.push_back({.time_us = day * day_us, .route = "/" + std::to_string(route)});
  counts_in_memory counts{events};
  grouped_query query{.by = {attribute::route, attribute::method}};
  query.want(measure::events);
  for (int64_t day = 0; day < 16; ++day)
    query.buckets.push_back({day * slots_per_day, (day + 1) * slots_per_day});
  const auto counted = count_groups(counts, query, {.cells = 100});
  CHECK(counts.reads == 5 + 4); // 16, 8, 4, 2, 1; then 1, 2, 4, 8
  REQUIRE(counted.size() == 16);
  for (size_t i = 0; i < counted.size(); ++i)
    CHECK(counted[i] == reference_groups(events, query, query.buckets[i]));
}

TEST_CASE("groups: persons of many buckets are exact, and of one within what fits in memory") {
  std::vector<event> events;
  for (int day = 0; day < 4; ++day)
    for (int user = 0; user < 2000; ++user)
      events.push_back({.time_us = day * day_us,
                        .feature = user % 4 == 0 ? "small" : "large",
                        .user_hash = "u" + std::to_string(user),
                        .address_hash = "a" + std::to_string(user)});
  counts_in_memory counts{events};
  grouped_query query;
  query.want(measure::users).want(measure::addresses);
  for (int64_t day = 0; day < 4; ++day)
    query.buckets.push_back({day * slots_per_day, (day + 1) * slots_per_day});
  for (auto [most, reads] :
       {std::pair{16'000, 1}, std::pair{8000, 1 + 2}, std::pair{4000, 2 + 4}}) {
    const auto persons = static_cast<size_t>(most);
    CAPTURE(persons);
    counts.reads = 0;
    const auto counted = count_groups(counts, query, {.persons = persons});
    CHECK(counts.reads == reads);
    for (const auto& day : counted) {
      CHECK(day.at({}).users == 2000);
      CHECK(day.at({}).addresses == 2000);
    }
  }
  grouped_query by_feature{.buckets = {query.buckets[0]}, .by = {attribute::feature}};
  by_feature.want(measure::users);
  group_builder builder{by_feature, {.persons = 1400}};
  counts.read(builder);
  CHECK(builder.held_persons() <= 1400);
  const auto groups = builder.take()[0];
  CHECK(groups.at({"small"}).users == 500);
  const auto large = static_cast<double>(groups.at({"large"}).users);
  CHECK(std::abs(large - 1500) < 150);
  CHECK(groups.at({"large"}).users % 2 == 0); // estimated
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
