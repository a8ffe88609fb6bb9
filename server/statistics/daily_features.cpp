#include "protocol/text/rfc3339.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/counted_range.hpp"
#include "server/statistics/statements.hpp"

#include <unordered_map>

namespace phi::statistics {
namespace {

void add_day(json& out, const counted_range& counted, int32_t day) {
  auto range = counted.of_day(day);
  if (range.empty())
    return;
  std::unordered_map<std::string, int64_t> users;
  auto& user = counted.ask_active(sql::users_by_feature, range);
  while (user.step())
    users[user.text(0)] = user.integer(1);
  auto& row = counted.ask(sql::counts_by_feature, range);
  while (row.step())
    out.push_back({{"date", format_date(day)},
                   {"feature", row.text(0)},
                   {"count", row.integer(1)},
                   {"uniqueUsers", users[row.text(0)]}});
}

} // namespace

std::string daily_features(row_source& rows, const question_parameters& parameters,
                           std::optional<int64_t> start_at_us) {
  const counted_range counted{rows, parameters, start_at_us};
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
