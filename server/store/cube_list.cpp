#include "server/store/cube_list.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace phi::store {

int64_t cube_id(int32_t day, int64_t number) {
  constexpr int64_t most = std::numeric_limits<uint32_t>::max();
  if (number > most)
    throw std::length_error("four billion cubes were made");
  return day * (most + 1) + number;
}

void cube_list::add(const listed_cube& cube) {
  days_[cube.day()].push_back(cube);
  ++size_;
  note(cube.day());
}

void cube_list::remove(int64_t id) {
  auto day = days_.find(listed_cube{.id = id}.day());
  if (day == days_.end())
    return;
  size_ -= std::erase_if(day->second, [&](const auto& cube) { return cube.id == id; });
  note(day->first);
  if (day->second.empty())
    days_.erase(day);
}

void cube_list::clear() {
  days_.clear();
  due_.clear();
  aside_.clear();
  size_ = 0;
}

std::vector<listed_cube> cube_list::of_day(int32_t day) const {
  auto found = days_.find(day);
  return found == days_.end() ? std::vector<listed_cube>{} : found->second;
}

/// Of a level that has `fan_in`: the oldest of them, as many as are small enough together.
std::vector<listed_cube> cube_list::mergeable(const std::vector<listed_cube>& of_day,
                                              int64_t level) const {
  std::vector<listed_cube> out;
  size_t there = 0;
  uint64_t bytes = 0;
  for (const auto& cube : of_day) {
    if (cube.level != level)
      continue;
    ++there;
    if (out.size() == limits_.fan_in || bytes + cube.bytes > limits_.merged_bytes)
      continue;
    out.push_back(cube);
    bytes += cube.bytes;
  }
  if (there < limits_.fan_in || out.size() < 2)
    out.clear();
  return out;
}

void cube_list::note(int32_t day) {
  const auto& all = days_[day];
  bool due = std::any_of(all.begin(), all.end(),
                         [&](const auto& cube) { return !mergeable(all, cube.level).empty(); });
  if (due)
    due_.insert(day);
  else
    due_.erase(day);
}

std::vector<listed_cube> cube_list::next_merge() const {
  for (auto day : due_) {
    if (aside_.contains(day))
      continue;
    const auto& all = days_.at(day);
    int64_t highest = 0;
    for (const auto& cube : all)
      highest = std::max(highest, cube.level);
    for (int64_t level = 0; level <= highest; ++level)
      if (auto some = mergeable(all, level); !some.empty())
        return some;
  }
  return {};
}

std::vector<listed_cube> cube_list::next_merge_at_rest() const {
  if (auto due = next_merge(); !due.empty() || days_.empty())
    return due;
  const auto latest = days_.rbegin()->first;
  for (const auto& [day, all] : days_) {
    if (day == latest || all.size() < 2 || aside_.contains(day))
      continue;
    auto by_size = all;
    std::stable_sort(by_size.begin(), by_size.end(),
                     [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
    uint64_t bytes = 0;
    size_t fit = 0;
    while (fit < by_size.size() && bytes + by_size[fit].bytes <= limits_.merged_bytes)
      bytes += by_size[fit++].bytes;
    by_size.resize(fit);
    if (fit >= 2)
      return by_size;
  }
  return {};
}

} // namespace phi::store
