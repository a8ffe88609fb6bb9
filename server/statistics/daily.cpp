#include "protocol/text/rfc3339.hpp"
#include "server/statistics/answer_list.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/counted_range.hpp"

#include <tuple>

namespace phi::statistics {
namespace {

/// By feature, route and method, whatever the action.
using sums_by_route =
  std::map<std::tuple<std::string_view, std::string_view, std::string_view>, tally::sums>;

void add_day(answer_list& out, const sums_by_route& sums, int32_t day) {
  for (const auto& [key, of_route] : sums) {
    const auto& [feature, route, method] = key;
    out.add({format_date(day), text_or_null(std::string{feature}), text_or_null(std::string{route}),
             text_or_null(std::string{method}), of_route.n, of_route.errors});
  }
}

} // namespace

std::string daily(tally_source& counts, const question_parameters& parameters,
                  std::optional<int64_t> start_at_us) {
  const counted_range counted{counts, parameters, start_at_us};
  const auto route = parameters.text("route");
  const auto method = parameters.text("method");
  answer_list out{{"date", "feature", "route", "method", "count", "errCount"}};
  for (auto day = *counted.first_day(); day <= *counted.last_day(); ++day) {
    const auto of_day = counted.of_day(day);
    sums_by_route sums;
    for (const auto& [key, more] : of_day.counts)
      if ((!route || *route == key.route) && (!method || *method == key.method))
        sums[{key.feature, key.route, key.method}].add(more);
    add_day(out, sums, day);
  }
  if (auto alone = rows_alone(out, parameters))
    return std::move(*alone);
  return out.as_json();
}

} // namespace phi::statistics
