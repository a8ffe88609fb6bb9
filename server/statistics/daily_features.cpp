#include "protocol/text/rfc3339.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/counted_range.hpp"
#include "server/statistics/ranking.hpp"

namespace phi::statistics {
namespace {

void add_day(json& out, const counted_range& counted, int32_t day) {
  auto of_day = counted.of_day(day, {.users_by_feature = true});
  std::map<std::string, uint64_t> events;
  for (const auto& [key, sums] : of_day.counts)
    events[key.feature] += sums.n;
  for (const auto& [feature, n] : ranking_of(events))
    out.push_back({{"date", format_date(day)},
                   {"feature", feature},
                   {"count", n},
                   {"uniqueUsers", of_day.users_by_feature[feature]}});
}

} // namespace

std::string daily_features(tally_source& counts, const question_parameters& parameters,
                           std::optional<int64_t> start_at_us) {
  const counted_range counted{counts, parameters, start_at_us};
  json out{{"timezone", counted.zone()},
           {"start", format_date(*counted.first_day())},
           {"end", format_date(*counted.last_day())}};
  if (counted.feature())
    out["featureFilter"] = *counted.feature();
  json list = json::array();
  for (auto day = *counted.first_day(); day <= *counted.last_day(); ++day)
    add_day(list, counted, day);
  out["rows"] = std::move(list);
  return out.dump();
}

} // namespace phi::statistics
