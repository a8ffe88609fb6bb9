#include "server/statistics/answer_list.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/counted_range.hpp"
#include "server/statistics/grouped_counts.hpp"

namespace phi::statistics {

std::string daily_active_users(tally_source& counts, const question_parameters& parameters,
                               std::optional<int64_t> start_at_us) {
  const counted_range range{counts, parameters, start_at_us};
  const auto days = range.buckets(interval::day);
  grouped_query query;
  query.want(measure::users).want(measure::addresses);
  for (const auto& day : days)
    query.buckets.push_back(range.slots_of(day.range));
  auto counted = count_groups(counts, query);
  answer_list rows{{"date", "activeUsers", "activeIps"}};
  for (size_t i = 0; i < days.size(); ++i) {
    const auto& all = counted[i][{}]; // zeros, when there was nobody
    rows.add({days[i].label, all.users, all.addresses});
  }
  if (auto alone = rows_alone(rows, parameters))
    return std::move(*alone);
  return json_envelope{range.asked()}.add("rows", rows.as_json()).take();
}

} // namespace phi::statistics
