#include "server/statistics/counted_range.hpp"

#include "protocol/text/rfc3339.hpp"

#include <algorithm>

namespace phi::statistics {
namespace {

constexpr slot_range all_slots{-100'000'000, 100'000'000};

} // namespace

counted_range::counted_range(tally_source& counts, const question_parameters& parameters,
                             std::optional<int64_t> start_at_us)
  : counts_(counts),
    zone_(parameters.text("timezone").value_or("UTC")),
    first_day_(parameters.day("start")),
    last_day_(parameters.day("end")),
    feature_(parameters.text("feature")),
    own_(parameters.text("source") == "phi"),
    start_at_us_(start_at_us) {}

tally counted_range::whole(const tally_parts& wanted) const {
  auto range = all_slots;
  if (first_day_)
    range.begin = slots_of(*first_day_).begin;
  if (last_day_)
    range.end = slots_of(*last_day_).end;
  return count(range, wanted);
}

tally counted_range::of_day(int32_t day, const tally_parts& wanted) const {
  return count(slots_of(day), wanted);
}

std::vector<time_bucket> counted_range::buckets(interval by) const {
  if (by == interval::day)
    return days_in_zone(zone_, *first_day_, *last_day_);
  return buckets_in_zone(
    zone_, by, {day_in_zone(zone_, *first_day_).begin_us, day_in_zone(zone_, *last_day_).end_us});
}

slot_range counted_range::slots_of(const time_range& range) const {
  slot_range out{slot_of(range.begin_us), slot_of(range.end_us)};
  if (start_at_us_)
    out.begin = std::max(out.begin, slot_of(*start_at_us_));
  return out;
}

json counted_range::asked() const {
  return {
    {"timezone", zone_}, {"start", format_date(*first_day_)}, {"end", format_date(*last_day_)}};
}

slot_range counted_range::slots_of(int32_t day) const {
  auto range = day_in_zone(zone_, day);
  return {slot_of(range.begin_us), slot_of(range.end_us)};
}

tally counted_range::count(slot_range range, const tally_parts& wanted) const {
  if (start_at_us_)
    range.begin = std::max(range.begin, slot_of(*start_at_us_));
  return range.empty() ? tally{} : counts_.count({range, feature_, wanted, own_});
}

void choose_each(std::initializer_list<attribute> kinds, const question_parameters& parameters,
                 grouped_query& query, json& head) {
  for (auto kind : kinds) {
    const auto name = attribute_names[static_cast<size_t>(kind)];
    if (auto text = parameters.text(name)) {
      head[std::string{name} + "Filter"] = *text;
      query.choose(kind, std::move(*text));
    }
  }
}

} // namespace phi::statistics
