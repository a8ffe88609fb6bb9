#include "server/statistics/answer_list.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/counted_range.hpp"
#include "server/statistics/grouped_counts.hpp"

namespace phi::statistics {
namespace {

void add_row(answer_list& to, const std::string& bucket, const group_key& key,
             const group_counts& counted) {
  std::vector<answer_list::value> row{bucket};
  for (const auto& text : key)
    row.push_back(text_or_null(text));
  row.emplace_back(counted.timed);
  row.emplace_back(milliseconds(static_cast<double>(counted.min_us)));
  row.emplace_back(milliseconds(counted.average_us()));
  row.emplace_back(milliseconds(static_cast<double>(counted.max_us)));
  for (auto share : {0.5, 0.9, 0.95, 0.99})
    row.emplace_back(milliseconds(counted.quantile_us(share)));
  to.add(std::move(row));
}

} // namespace

std::string latencies(tally_source& counts, const question_parameters& parameters,
                      std::optional<int64_t> start_at_us) {
  const counted_range range{counts, parameters, start_at_us};
  const auto name = parameters.text("bucket").value_or("day");
  const auto buckets = range.buckets(*interval_of(name));
  grouped_query query{.by = {attribute::feature, attribute::route, attribute::method}};
  query.want(measure::events).want(measure::details).want(measure::durations);
  query.own = range.own();
  json head = range.asked();
  head["bucket"] = name;
  choose_each({attribute::feature, attribute::route, attribute::method}, parameters, query, head);
  for (const auto& bucket : buckets)
    query.buckets.push_back(range.slots_of(bucket.range));
  answer_list rows{{"bucket", "feature", "route", "method", "count", "minMs", "avgMs", "maxMs",
                    "p50Ms", "p90Ms", "p95Ms", "p99Ms"}};
  count_each(counts, query, [&](size_t bucket, const groups_of_bucket& counted) {
    for (const auto& [key, group] : counted)
      if (group.timed > 0)
        add_row(rows, buckets[bucket].label, key, group);
  });
  if (auto alone = rows_alone(rows, parameters))
    return std::move(*alone);
  return json_envelope{head}.add("rows", rows.as_json()).take();
}

} // namespace phi::statistics
