// Cubes: whatever is added and merged in whatever order says what a walk over the events says, and
// bytes that were not written so are found out.

#include "server/statistics/cube_builder.hpp"
#include "server/statistics/cube_format.hpp"
#include "server/statistics/cube_head.hpp"
#include "server/statistics/cube_tail.hpp"
#include "server/statistics/distinct_count.hpp"
#include "server/statistics/latency.hpp"
#include "server/statistics/tally_builder.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/newer_cube.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/reference_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

using namespace phi;
using namespace phi::statistics;
using namespace phi::testing;

namespace {

constexpr slot_range all_slots{-100'000'000, 100'000'000};

int32_t day_of(const event& e) {
  return static_cast<int32_t>(day_of_slot(slot_of(e.time_us)));
}

/// Cubes of all days of some events, each as it is read back.
std::vector<cube> cubes_of(const std::vector<event>& events, size_t cap = most_texts) {
  std::map<int32_t, cube_builder> builders;
  for (const auto& e : events)
    builders.try_emplace(day_of(e), day_of(e), cap).first->second.add(counted(e));
  std::vector<cube> out;
  for (auto& [day, builder] : builders)
    out.push_back(read_cube(write_cube(builder.take())));
  return out;
}

std::vector<cube> cubes_of_all(random_events& random, size_t batches, std::vector<event>& all) {
  std::vector<cube> out;
  for (size_t i = 0; i < batches; ++i) {
    auto events = random.some(1 + random.below(80));
    all.insert(all.end(), events.begin(), events.end());
    auto more = cubes_of(events);
    out.insert(out.end(), more.begin(), more.end());
  }
  return out;
}

/// Makes one of several of a day, again and again, until few are left.
void merge_at_random(std::vector<cube>& cubes, random_events& random) {
  for (int i = 0; i < 20; ++i) {
    auto day = cubes[random.below(cubes.size())].day;
    std::vector<cube> parts;
    for (size_t at = cubes.size(); at-- > 0;)
      if (cubes[at].day == day && random.below(2)) {
        parts.push_back(std::move(cubes[at]));
        cubes.erase(cubes.begin() + static_cast<ptrdiff_t>(at));
      }
    if (!parts.empty())
      cubes.push_back(read_cube(write_cube(merged(parts))));
  }
}

tally tally_of(const std::vector<cube>& cubes, const tally_query& query) {
  tally_builder builder{query};
  for (const auto& one : cubes)
    if (auto parts = builder.parts_of(one.day))
      builder.add(read_cube(write_cube(one), *parts)); // only what it says that it needs
  return builder.take();
}

} // namespace

TEST_CASE("cubes: what they add up to is what a walk over the events says, merged in any order") {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    random_events random{seed};
    std::vector<event> events;
    auto cubes = cubes_of_all(random, 40, events);
    auto apart = cubes;
    merge_at_random(cubes, random);
    CHECK(cubes.size() < apart.size());
    for (int question = 0; question < 20; ++question) {
      auto begin = static_cast<int64_t>(random.below(500)) - 200;
      slot_range range{begin, begin + static_cast<int64_t>(random.below(400))};
      auto query = everything(random.below(8) ? range : all_slots);
      if (random.below(3) == 0)
        query.feature = random.below(4) ? "feature" + std::to_string(random.below(3)) : "";
      if (random.below(3) == 0) // then whole days are read without their groups
        query.wanted.users_by_kind = query.wanted.users_by_feature = false;
      query.own = random.below(4) == 0;
      auto expected = reference_tally(events, query);
      CHECK(tally_of(cubes, query) == expected);
      CHECK(tally_of(apart, query) == expected);
    }
  }
}

TEST_CASE("cubes: a tail holds events in order, and gives them back by day") {
  random_events random{5};
  auto events = random.some(500);
  cube_tail tail;
  int64_t seq = 100;
  for (const auto& e : events)
    tail.add(++seq, counted(e));
  auto query = everything(all_slots);
  auto tally_of_tail = [&] {
    tally_builder builder{query};
    for (const auto& day : tail.days())
      for (auto at : day.events) {
        CHECK(day_of_slot(slot_of(tail.at(at).time_us)) == day.number);
        builder.add(tail.at(at));
      }
    return builder.take();
  };
  CHECK(tally_of_tail() == reference_tally(events, query));
  CHECK(tail.last_seq() == 600);
  tail.drop_up_to(100);
  CHECK(tail.size() == 500);
  tail.drop_up_to(350);
  CHECK(tail.size() == 250);
  CHECK(tally_of_tail() == reference_tally({events.begin() + 250, events.end()}, query));
  tail.drop_up_to(600);
  CHECK(tail.empty());
}

TEST_CASE("cubes: each byte that is damaged is found, and no damage does harm") {
  random_events random{3, {.first_day = 20'000, .days = 1}};
  auto body = write_cube(cubes_of(random.some(150)).front());
  REQUIRE_NOTHROW(read_cube(body));
  size_t unnoticed = 0;
  for (size_t at = 0; at < body.size(); ++at)
    for (auto flip : {0x01, 0x80, 0xff}) {
      auto damaged = body;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      try {
        read_cube(damaged);
        ++unnoticed;
      } catch (const damaged_cube&) {
      }
    }
  CHECK(unnoticed == 0);
  for (size_t size = 0; size < body.size(); ++size)
    CHECK_THROWS_AS(read_cube(std::string_view{body}.substr(0, size)), damaged_cube);
  CHECK_THROWS_AS(read_cube(body + "x"), damaged_cube);
}

namespace {

/// With checksums that fit: what a checksum lets through must not do harm either.
std::string sealed_again(const std::string& body) {
  packed_reader from{body};
  packed_writer head;
  head.put_byte(from.get_byte());
  head.put_signed(from.get_signed());
  std::vector<uint64_t> sizes;
  for (int section = 0; section < 8; ++section) {
    sizes.push_back(from.get());
    from.get_fixed<uint32_t>();
  }
  from.get_fixed<uint32_t>();
  std::string bodies;
  for (auto size : sizes) {
    auto bytes = from.get_bytes(size);
    head.put(size);
    head.put_fixed(crc32_of(bytes));
    bodies += bytes;
  }
  head.put_fixed(crc32_of(head.bytes()));
  return head.bytes() + bodies;
}

} // namespace

TEST_CASE("cubes: one of version 1 is read, and one of a later version is not") {
  random_events random{9, {.first_day = 20'000, .days = 1}};
  auto body = write_cube(cubes_of(random.some(50)).front());
  REQUIRE(body[0] == 2);
  auto written_by = [&](int version) {
    body[0] = static_cast<char>(version);
    return sealed_again(body);
  };
  CHECK(read_cube(written_by(1)).day_sums == read_cube(written_by(2)).day_sums);
  CHECK_THROWS_AS(read_cube(written_by(3)), newer_cube);
  CHECK_THROWS_AS(read_cube(written_by(0)), damaged_cube);
}

TEST_CASE("cubes: bytes that make no sense are refused or read, whatever their checksums say") {
  random_events random{4, {.first_day = 20'000, .days = 1}};
  auto body = write_cube(cubes_of(random.some(150)).front());
  REQUIRE(sealed_again(body) == body);
  size_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto damaged = body;
    for (auto times = 1 + random.below(4); times > 0; --times)
      damaged[40 + random.below(body.size() - 40)] = static_cast<char>(random.below(256));
    try {
      auto read = read_cube(sealed_again(damaged));
      tally_builder builder{everything({read.day * 96 + 10, read.day * 96 + 90})};
      builder.add(read);
      merged({read, read});
    } catch (const damaged_cube&) {
      ++refused;
    }
  }
  CHECK(refused > 1000);
}

TEST_CASE("cubes: only the parts that are asked for are read") {
  random_events random{6, {.first_day = 7, .days = 1}};
  auto body = write_cube(cubes_of(random.some(300)).front());
  auto whole = read_cube(body);
  CHECK_FALSE(whole.users.empty());
  CHECK_FALSE(whole.slot_buckets.empty());
  auto counts = read_cube(body, 0);
  CHECK(counts.day_sums == whole.day_sums);
  CHECK(counts.cells.empty());
  CHECK(counts.users.empty());
  CHECK(counts.day_buckets.empty());
  CHECK(counts.footprint() < whole.footprint() / 2);
}

TEST_CASE("cubes: one of a newer version is told from a damaged one by its head") {
  random_events random{9};
  const auto body = write_cube(cubes_of(random.some(300)).front());
  CHECK_NOTHROW(read_cube(of_version(body, 2)));
  CHECK_THROWS_WITH_AS(read_cube(of_version(body, 3)),
                       "it was written by a newer version (cubes of version 3, this program knows"
                       " 2); install that version",
                       newer_cube);
  auto damaged = body;
  damaged[0] = 3;
  CHECK_THROWS_AS(read_cube(damaged), damaged_cube);
  CHECK_THROWS_AS(read_cube(of_version(body, 0)), damaged_cube);
  for (int sections : {1, 5, 9, 64}) { // of whatever a later version consists
    packed_writer later;
    later.put_byte(200);
    later.put_signed(20'000);
    for (int i = 0; i < sections; ++i)
      put_place(later, "x");
    later.put_fixed(crc32_of(later.bytes()));
    later.append(std::string(static_cast<size_t>(sections), 'x'));
    CHECK_THROWS_AS(read_cube(later.bytes()), newer_cube);
    auto wrong = later.bytes();
    wrong[1] ^= 1;
    CHECK_THROWS_AS(read_cube(wrong), damaged_cube);
  }
}

TEST_CASE("cubes: past its cap a dimension counts under (other), and the others as before") {
  constexpr size_t cap = 10;
  random_events random{8, {.first_day = 3, .days = 1, .routes = 200}};
  auto events = random.some(2000);
  auto one = cubes_of(events, cap).front();
  auto query = everything(all_slots);
  auto all = reference_tally(events, query);
  auto routes = [&](const tally& of) {
    std::map<std::string, uint64_t> out;
    for (const auto& [key, sums] : of.counts)
      out[key.route] += sums.n;
    return out;
  };
  auto features = [&](const tally& of) {
    std::map<std::string, tally::sums> out;
    for (const auto& [key, sums] : of.counts)
      out[key.feature].add(sums);
    return out;
  };
  auto counted_routes = routes(tally_of({one}, query));
  CHECK(routes(all).size() > 100);
  CHECK(counted_routes.size() <= cap + 2); // and "" and (other)
  CHECK(counted_routes["(other)"] > 500);
  CHECK(one.beyond_cap == counted_routes["(other)"]);
  CHECK(features(tally_of({one}, query)) == features(all));
  CHECK(tally_of({one}, query).latencies == all.latencies);
  CHECK(tally_of({one}, query).users == all.users);
  // Merging holds to the cap as well.
  std::vector<cube> parts;
  for (size_t i = 0; i < events.size(); i += 50)
    parts.push_back(cubes_of({events.begin() + static_cast<ptrdiff_t>(i),
                              events.begin() + static_cast<ptrdiff_t>(i + 50)},
                             cap)
                      .front());
  tally_builder apart{query, {.texts = cap}};
  for (const auto& part : parts)
    apart.add(part);
  auto of_parts = apart.take();
  CHECK(routes(of_parts).size() <= cap + 2);
  CHECK(features(of_parts) == features(all));
  CHECK(of_parts.spans == all.spans);
  auto together = merged(parts, cap);
  CHECK(routes(tally_of({together}, query)).size() <= cap + 2);
  CHECK(features(tally_of({together}, query)) == features(all));
}

TEST_CASE(
  "an answer is bounded in memory: values and combinations that are too many count together, "
  "large groups of persons are estimated, and whatever is not told apart is still right") {
  random_events random{12, {.first_day = 4, .days = 3, .routes = 300, .users = 3000}};
  auto events = random.some(20'000);
  for (size_t i = 0; i < events.size(); ++i) {
    events[i].instance = events[i].instance.empty() ? "" : "i" + std::to_string(i % 500);
    events[i].user_kind = events[i].user_hash.empty() ? "" : "k" + std::to_string(i % 300);
  }
  const auto query = everything(all_slots);
  const auto exact = reference_tally(events, query);
  const tally_limits limits{.texts = 20, .combinations = 100, .grouped_persons = 3000};
  auto by_feature = [](const tally& of) {
    std::map<std::string, tally::sums> out;
    for (const auto& [key, sums] : of.counts)
      out[key.feature].add(sums);
    return out;
  };
  auto sum = [](const std::map<std::string, uint64_t>& all) {
    uint64_t out = 0;
    for (const auto& [text, n] : all)
      out += n;
    return out;
  };
  tally_builder of_cubes{query, limits};
  for (const auto& part : cubes_of(events))
    of_cubes.add(part);
  tally_builder of_rows{query, limits};
  for (const auto& e : events)
    of_rows.add(counted(e));
  for (auto* builder : {&of_cubes, &of_rows}) {
    CAPTURE(builder == &of_rows);
    auto made = builder->take();
    CHECK(exact.counts.size() > 1000);
    CHECK(made.counts.size() <= 100 + by_feature(exact).size());
    CHECK(by_feature(made) == by_feature(exact));
    CHECK(made.spans == exact.spans);
    CHECK(made.statuses == exact.statuses);
    CHECK(made.latencies == exact.latencies);
    CHECK(exact.instances.size() > 400);
    CHECK(made.instances.size() == 21 + 1); // and (other)
    CHECK(sum(made.instances) == sum(exact.instances));
    CHECK(made.users == exact.users);
    CHECK(made.addresses == exact.addresses);
    CHECK(exact.users_by_kind.size() == 300);
    CHECK(made.users_by_kind.size() == 22);
    CHECK(made.users_by_feature.size() == exact.users_by_feature.size());
    for (const auto& [feature, persons] : made.users_by_feature) {
      CHECK(persons % 2 == 0); // estimated
      auto right = static_cast<double>(exact.users_by_feature.at(feature));
      CHECK(std::abs(static_cast<double>(persons) - right) < 0.2 * right);
    }
  }
}

TEST_CASE("cubes: sums of durations have room for any number of the longest") {
  constexpr auto longest = std::numeric_limits<int64_t>::max();
  std::vector<event> events(3, {.feature = "f", .duration_us = longest});
  for (size_t i = 0; i < events.size(); ++i)
    events[i].duration_us -= static_cast<int64_t>(i);
  auto part = cubes_of({events[0], events[1], events[2]});
  auto sums = tally_of(part, everything(all_slots)).counts.begin()->second;
  CHECK((sums.sum_us == uint128{longest} * 3 - 3));
  CHECK(sums.max_us == longest);
}

TEST_CASE("distinct persons: exact up to a bound, then within a percent or so") {
  distinct_count exact;
  distinct_count sampled{1 << 14};
  std::mt19937_64 random{9};
  std::vector<uint64_t> persons;
  for (int i = 0; i < 300'000; ++i)
    persons.push_back(random() | 1);
  for (int twice = 0; twice < 2; ++twice)
    for (auto person : persons) {
      exact.add(person);
      sampled.add(person);
    }
  CHECK(exact.is_exact());
  CHECK(exact.count() == 300'000);
  CHECK_FALSE(sampled.is_exact());
  CHECK(std::abs(static_cast<double>(sampled.count()) - 300'000) < 300'000 * 0.03);
}

TEST_CASE("a person is the first 64 bits of a hash, and what is no hash is somebody too") {
  CHECK(person_of("") == 0);
  // Those that a sender has made itself may be alike at their beginning, or in their letters.
  CHECK(person_of("00000000000000000000000000001234")
        != person_of("00000000000000000000000000001235"));
  CHECK(person_of("0123456789abcdef0123456789abcdef")
        != person_of("0123456789ABCDEF0123456789ABCDEF"));
  CHECK(person_of("a") == 0x82a2a958a9bece5b); // it is in files: it must never change
  CHECK(person_of("user1") != person_of("user2"));
  CHECK(person_of("user1") == person_of("user1"));
}

TEST_CASE("latency buckets are within 1 % of every value") {
  for (int64_t us = 1; us < 100'000'000'000; us += us / 7 + 1) {
    auto estimate = latency_of_bucket(latency_bucket(us));
    REQUIRE(std::abs(estimate - static_cast<double>(us)) <= 0.0101 * static_cast<double>(us) + 0.5);
  }
  CHECK(latency_bucket(std::numeric_limits<int64_t>::max()) < latency_buckets);
}

TEST_CASE("slots and days, also before 1970") {
  CHECK(slot_of(0) == 0);
  CHECK(slot_of(899'999'999) == 0);
  CHECK(slot_of(900'000'000) == 1);
  CHECK(slot_of(-1) == -1);
  CHECK(slot_of(-900'000'000) == -1);
  CHECK(slot_of(-900'000'001) == -2);
  CHECK(day_of_slot(95) == 0);
  CHECK(day_of_slot(96) == 1);
  CHECK(day_of_slot(-1) == -1);
  CHECK(day_of_slot(-96) == -1);
  CHECK(day_of_slot(-97) == -2);
  CHECK(slots_between(0, 96).low == ~uint64_t{0});
  CHECK(slots_between(0, 96).high == 0xffffffff);
  CHECK(slots_between(64, 65).high == 1);
}
