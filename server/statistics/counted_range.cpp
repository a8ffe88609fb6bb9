#include "server/statistics/counted_range.hpp"

#include "server/statistics/time_zones.hpp"

#include <algorithm>

namespace phi::statistics {
namespace {

constexpr slot_range all_slots{-100'000'000, 100'000'000};

} // namespace

counted_range::counted_range(row_source& rows, const question_parameters& parameters,
                             std::optional<int64_t> start_at_us)
  : rows_(rows),
    zone_(parameters.text("timezone").value_or("UTC")),
    first_day_(parameters.day("start")),
    last_day_(parameters.day("end")),
    feature_(parameters.text("feature")),
    start_at_us_(start_at_us) {}

slot_range counted_range::whole() const {
  auto range = all_slots;
  if (first_day_)
    range.begin = of_day(*first_day_).begin;
  if (last_day_)
    range.end = of_day(*last_day_).end;
  return clamp(range);
}

slot_range counted_range::of_day(int32_t day) const {
  auto range = day_in_zone(zone_, day);
  return clamp({slot_of(range.begin_us), slot_of(range.end_us)});
}

slot_range counted_range::clamp(slot_range range) const {
  if (start_at_us_)
    range.begin = std::max(range.begin, slot_of(*start_at_us_));
  return range;
}

row_cursor& counted_range::ask(std::string_view sql, slot_range range, parameter fourth,
                               parameter fifth) const {
  return rows_.ask(sql, {range.begin, range.end, text_or_any(feature_), fourth, fifth});
}

row_cursor& counted_range::ask_active(std::string_view sql, slot_range range) const {
  auto first_day = day_of_slot(range.begin);
  auto last_day = day_of_slot(range.end - 1);
  auto last_slot = range.end - last_day * slots_per_day;
  auto first = slots_between(range.begin - first_day * slots_per_day, slots_per_day);
  auto last = slots_between(0, last_slot);
  if (first_day == last_day) {
    first = {first.low & last.low, first.high & last.high};
    last = first;
  }
  return rows_.ask(sql, {first_day, last_day, text_or_any(feature_),
                         static_cast<int64_t>(first.low), static_cast<int64_t>(first.high),
                         static_cast<int64_t>(last.low), static_cast<int64_t>(last.high)});
}

} // namespace phi::statistics
