#include "server/statistics/cube_tail.hpp"

#include "server/statistics/slots.hpp"

#include <algorithm>
#include <map>

namespace phi::statistics {

void cube_tail::add(int64_t seq, const counted_event& e) {
  row next{.seq = seq,
           .time_us = e.time_us,
           .duration_us = e.duration_us,
           .user = e.user,
           .address = e.address,
           .status = e.status,
           .begin = static_cast<uint32_t>(texts_.size())};
  size_t i = 0;
  for (auto text : {e.feature, e.action, e.route, e.method, e.user_kind, e.instance}) {
    next.lengths[i++] = static_cast<uint32_t>(text.size());
    texts_.append(text);
  }
  rows_.push_back(next);
}

counted_event cube_tail::at(size_t i) const {
  const auto& from = rows_[i];
  counted_event out{.time_us = from.time_us,
                    .status = from.status,
                    .duration_us = from.duration_us,
                    .user = from.user,
                    .address = from.address};
  auto left = std::string_view{texts_}.substr(from.begin);
  size_t text = 0;
  for (auto* into :
       {&out.feature, &out.action, &out.route, &out.method, &out.user_kind, &out.instance}) {
    *into = left.substr(0, from.lengths[text]);
    left.remove_prefix(from.lengths[text++]);
  }
  return out;
}

void cube_tail::drop_up_to(int64_t seq) {
  auto first = std::find_if(rows_.begin(), rows_.end(), [&](const auto& r) { return r.seq > seq; });
  if (first == rows_.begin())
    return;
  if (first == rows_.end())
    return clear();
  auto begin = first->begin;
  texts_.erase(0, begin);
  rows_.erase(rows_.begin(), first);
  for (auto& row : rows_)
    row.begin -= begin;
}

void cube_tail::clear() {
  rows_.clear();
  texts_.clear();
}

std::vector<cube_tail::day> cube_tail::days() const {
  std::map<int32_t, std::vector<uint32_t>> by_day;
  for (size_t i = 0; i < rows_.size(); ++i)
    by_day[static_cast<int32_t>(day_of_slot(slot_of(rows_[i].time_us)))].push_back(
      static_cast<uint32_t>(i));
  std::vector<day> out;
  for (auto& [number, events] : by_day)
    out.push_back({number, std::move(events)});
  return out;
}

} // namespace phi::statistics
