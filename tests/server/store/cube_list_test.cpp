// Which cubes become one: few are left, and nothing is written again too often.

#include "server/store/cube_list.hpp"
#include "tests/support/doctest.hpp"

#include <algorithm>
#include <random>

using namespace phi::store;

namespace {

constexpr int64_t id_of(int32_t day, int64_t number) {
  return day * (int64_t{1} << 32) + number;
}

/// A list and what its cubes hold, as the writer keeps it.
struct kept_list {
  explicit kept_list(const cube_limits& limits) : list(limits), sizes(limits) {}

  void flush(int32_t day, uint64_t bytes) {
    list.add({.id = id_of(day, ++last), .last_seq = last, .bytes = bytes});
    written += bytes;
  }
  bool merge(std::vector<listed_cube> parts) {
    if (parts.empty())
      return false;
    listed_cube into{.id = id_of(parts.front().day(), ++last)};
    for (const auto& part : parts) {
      CHECK(part.day() == into.day());
      into.bytes += part.bytes;
      into.level = std::max(into.level, part.level + 1);
      list.remove(part.id);
    }
    CHECK(into.bytes <= sizes.merged_bytes);
    CHECK(parts.size() > 1);
    written += into.bytes;
    list.add(into);
    return true;
  }
  uint64_t bytes_of(int32_t day) const {
    uint64_t out = 0;
    for (const auto& one : list.of_day(day))
      out += one.bytes;
    return out;
  }

  cube_list list;
  cube_limits sizes;
  int64_t last = 0;
  uint64_t written = 0;
};

} // namespace

TEST_CASE("cube list: cubes of a level become one of the next, and a few of each are left") {
  kept_list kept{{.fan_in = 8, .merged_bytes = 1 << 20}};
  constexpr int flushes = 4096;
  for (int i = 0; i < flushes; ++i) {
    kept.flush(20'000, 100);
    while (kept.merge(kept.list.next_merge())) {
    }
    CHECK(kept.list.size() <= 4 * 7);
  }
  CHECK(kept.bytes_of(20'000) == flushes * 100);
  CHECK(kept.written <= uint64_t{flushes} * 100 * 5); // once, and once for each level
}

TEST_CASE("cube list: what is too large together stays as it is") {
  kept_list kept{{.fan_in = 4, .merged_bytes = 1000}};
  for (int i = 0; i < 4; ++i)
    kept.flush(-3, 501);
  CHECK(kept.list.next_merge().empty());
  for (int i = 0; i < 3; ++i)
    kept.flush(-3, 251);
  CHECK(kept.list.next_merge_at_rest().size() == 2); // as many of a level as fit: 501 and 251
  kept.list.clear();
  kept.flush(-3, 251);
  kept.flush(-3, 251);
  CHECK(kept.list.next_merge_at_rest().empty()); // the latest day
  kept.flush(4, 1);
  CHECK(kept.list.next_merge_at_rest().size() == 2);
}

TEST_CASE("cube list: at rest each day but the latest becomes as few cubes as can be") {
  std::mt19937 random{3};
  kept_list kept{{.fan_in = 8, .merged_bytes = 2000}};
  for (int i = 0; i < 400; ++i)
    kept.flush(static_cast<int32_t>(random() % 9) - 4, 1 + random() % 300);
  std::vector<uint64_t> before;
  for (int32_t day = -4; day < 5; ++day)
    before.push_back(kept.bytes_of(day));
  int merges = 0;
  while (kept.merge(kept.list.next_merge_at_rest()))
    ++merges;
  CHECK(merges < 400);
  for (int32_t day = -4; day < 5; ++day) {
    CHECK(kept.bytes_of(day) == before[static_cast<size_t>(day + 4)]);
    auto cubes = kept.list.of_day(day);
    if (day < 4) // no two of them fit together
      CHECK(cubes.size() <= 1 + 2 * before[static_cast<size_t>(day + 4)] / 2000);
  }
}

TEST_CASE("cube list: a day that is set aside is left alone until it is put back") {
  kept_list kept{{.fan_in = 2, .merged_bytes = 1000}};
  kept.flush(1, 10);
  kept.flush(1, 10);
  kept.list.set_aside(1);
  CHECK(kept.list.next_merge().empty());
  kept.list.put_back(1);
  CHECK(kept.list.next_merge().size() == 2);
  kept.list.clear();
  CHECK(kept.list.size() == 0);
  CHECK(kept.list.next_merge().empty());
}
