#include "protocol/text/rfc3339.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/counted_range.hpp"
#include "server/statistics/statements.hpp"

namespace phi::statistics {

std::string daily(row_source& rows, const question_parameters& parameters,
                  std::optional<int64_t> start_at_us) {
  const counted_range counted{rows, parameters, start_at_us};
  const auto route = parameters.text("route");
  const auto method = parameters.text("method");
  json out = json::array();
  for (auto day = *counted.first_day(); day <= *counted.last_day(); ++day) {
    auto& row = counted.ask(sql::counts_by_route, counted.of_day(day), text_or_any(route),
                            text_or_any(method));
    while (row.step())
      out.push_back({{"date", format_date(day)},
                     {"feature", text_or_null(row.text(0))},
                     {"route", text_or_null(row.text(1))},
                     {"method", text_or_null(row.text(2))},
                     {"count", row.integer(3)},
                     {"errCount", row.integer(4)}});
  }
  return out.dump();
}

} // namespace phi::statistics
