#include "protocol/text/rfc3339.hpp"
#include "server/statistics/answer_list.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/counted_range.hpp"
#include "server/statistics/ranking.hpp"

namespace phi::statistics {
namespace {

void add_day(answer_list& out, const counted_range& counted, int32_t day) {
  auto of_day = counted.of_day(day, {.users_by_feature = true});
  std::map<std::string, uint64_t> events;
  for (const auto& [key, sums] : of_day.counts)
    events[key.feature] += sums.n;
  for (const auto& [feature, n] : ranking_of(events))
    out.add({format_date(day), feature, n, of_day.users_by_feature[feature]});
}

} // namespace

std::string daily_features(tally_source& counts, const question_parameters& parameters,
                           std::optional<int64_t> start_at_us) {
  const counted_range counted{counts, parameters, start_at_us};
  auto head = counted.asked();
  if (counted.feature())
    head["featureFilter"] = *counted.feature();
  answer_list list{{"date", "feature", "count", "uniqueUsers"}};
  for (auto day = *counted.first_day(); day <= *counted.last_day(); ++day)
    add_day(list, counted, day);
  if (auto alone = rows_alone(list, parameters))
    return std::move(*alone);
  return json_envelope{head}.add("rows", list.as_json()).take();
}

} // namespace phi::statistics
