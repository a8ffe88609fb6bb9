// Events and cubes, compared by day: the same ones agree, however they were merged, and whatever is
// changed in one of them is found, on its day and by what it is, and nowhere else.

#include "server/statistics/cube_builder.hpp"
#include "server/statistics/day_comparison.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/reference_statistics.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <string>

using namespace phi;
using namespace phi::statistics;
using namespace phi::testing;

namespace {

struct compared_days {
  explicit compared_days(uint64_t seed, size_t cap = most_texts, random_kinds kinds = {}) {
    random_events random{seed, kinds};
    for (int i = 0; i < 5; ++i) {
      std::map<int32_t, cube_builder> builders;
      for (const auto& e : random.some(300)) {
        rows.add(counted(e));
        auto day = static_cast<int32_t>(day_of_slot(slot_of(e.time_us)));
        builders.try_emplace(day, day, cap).first->second.add(counted(e));
      }
      for (auto& [day, builder] : builders)
        cubes.push_back(builder.take());
    }
  }
  /// What differs, and on which day when that is said.
  std::map<std::string, std::string> differing() const {
    day_digests of_cubes;
    for (const auto& part : cubes)
      of_cubes.add(part);
    std::map<std::string, std::string> out;
    for (const auto& check : day_digests::compare(rows, of_cubes))
      if (check.rows != check.derived)
        out[std::string{check.name}] = check.days.size() == 1 ? check.days[0] : "";
    return out;
  }

  day_digests rows;
  std::vector<cube> cubes;
};

} // namespace

TEST_CASE("days compared: events and cubes of them agree, merged in whatever order") {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    compared_days days{seed};
    CHECK(days.differing().empty());
    std::map<int32_t, std::vector<cube>> by_day;
    for (auto& part : days.cubes)
      by_day[part.day].push_back(std::move(part));
    days.cubes.clear();
    for (const auto& [day, parts] : by_day)
      days.cubes.push_back(merged(parts));
    CHECK(days.differing().empty());
    days.cubes.pop_back(); // of the last day, the third of January
    CHECK(days.differing().at("days by events") == "1970-01-03");
  }
}

TEST_CASE("days compared: whatever differs is found, by its day and by what it is") {
  struct change {
    std::function<void(cube&)> make;
    std::string found; ///< names, one after the other
  };
  auto text = [](dimension kind) {
    return [kind](cube& in) { in.texts[static_cast<size_t>(kind)].back() += "x"; };
  };
  const std::vector<change> changes{
    {[](cube& in) { ++in.day_sums[0].n; },
     "days by actions,days by combinations,days by events,days by features,days by methods,days by"
     " routes,days by statuses,"},
    {[](cube& in) { ++in.cells[0].sums.n; },
     "days by actions,days by combinations,days by events,days by features,days by methods,days by"
     " routes,days by statuses,"},
    {[](cube& in) { in.day_sums[0].sum_us += 1; }, "days by combinations,days by durations,"},
    {[](cube& in) { in.combinations[0].status += 1; }, "days by combinations,days by statuses,"},
    {text(dimension::action), "days by actions,days by combinations,"},
    {text(dimension::instance), "days by instances,"},
    {[](cube& in) { in.instances[0].slot ^= 1; }, "days by instances,"},
    {[](cube& in) { ++in.day_buckets[0].n; }, "days by latencies,"},
    {[](cube& in) { in.slot_buckets[0].bucket += 1; }, "days by latencies,"},
    {[](cube& in) { in.spans.front().first_us = int64_t{in.day} * day_us - 1; }, "days by bounds,"},
    {[](cube& in) {
       in.users[0].active.set(95);
       in.users[0].active.set(1);
     },
     "sum of users by group,sum of users by time,users by group,users by time,"},
    {text(dimension::user_kind), "sum of users by group,"},
    {[](cube& in) { in.addresses[0].hash ^= 4; }, "sum of addresses by time,"},
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    CAPTURE(i);
    compared_days days{7};
    auto& victim = days.cubes[2];
    REQUIRE(victim.day == 0);
    changes[i].make(victim);
    std::string found;
    for (const auto& [name, day] : days.differing()) {
      found += name + ",";
      if (name.starts_with("days"))
        CHECK(day == "1970-01-01");
    }
    CHECK(found.find(changes[i].found) != std::string::npos);
    if (i != 11) // of how many, it may be one more or less
      CHECK(found == changes[i].found);
  }
}

TEST_CASE("days compared: what counts under (other) is compared by all that is still told apart") {
  compared_days days{8, 5, {.routes = 40}};
  CHECK(days.differing().empty());
  days.cubes[2].day_sums[0].n += 1;
  auto found = days.differing();
  CHECK(found.contains("days by events"));
  CHECK(found.contains("days by features"));
  CHECK_FALSE(found.contains("days by routes"));
}

TEST_CASE("days compared: instances and kinds of users that had no room in a merge are no "
          "difference, and another one still is") {
  compared_days days{9};
  days.cubes.clear();
  days.rows = {};
  std::vector<cube> parts;
  for (int part = 0; part < 2; ++part) {
    cube_builder builder{0, 3};
    for (int i = 0; i < 3; ++i) {
      const auto number = std::to_string(3 * part + i);
      const event e{.time_us = i,
                    .feature = "f",
                    .user_hash = "u" + number,
                    .user_kind = "k" + number,
                    .instance = "i" + number};
      days.rows.add(counted(e));
      builder.add(counted(e));
    }
    parts.push_back(builder.take());
  }
  days.cubes = {merged(parts, 3)};
  const auto& instances = days.cubes[0].texts[static_cast<size_t>(dimension::instance)];
  REQUIRE(std::count(instances.begin(), instances.end(), other_text) == 1);
  CHECK(days.differing().empty());
  days.cubes[0].cells[0].slot = 7;
  CHECK(days.differing().contains("days by events"));
}
