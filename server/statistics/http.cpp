#include "server/statistics/answer_list.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/counted_range.hpp"
#include "server/statistics/grouped_counts.hpp"

#include <algorithm>
#include <tuple>

namespace phi::statistics {
namespace {

constexpr uint32_t default_top = 200;

/// 0 of nothing.
double rate(uint64_t some, uint64_t all) {
  return all == 0 ? 0 : static_cast<double>(some) / static_cast<double>(all);
}

void add_row(answer_list& to, std::vector<answer_list::value> row, const group_counts& counted) {
  for (answer_list::value number :
       {answer_list::value(counted.n), answer_list::value(counted.errors()),
        answer_list::value(rate(counted.errors(), counted.n)),
        answer_list::value(counted.client_errors), answer_list::value(counted.server_errors),
        answer_list::value(rate(counted.client_errors, counted.n)),
        answer_list::value(rate(counted.server_errors, counted.n))})
    row.push_back(std::move(number));
  to.add(std::move(row));
}

/// The routes of a day, those with the most errors first.
std::vector<const groups_of_bucket::value_type*> worst_first(const groups_of_bucket& day,
                                                             size_t top) {
  std::vector<const groups_of_bucket::value_type*> out;
  for (const auto& group : day)
    out.push_back(&group);
  std::sort(out.begin(), out.end(), [](const auto* a, const auto* b) {
    return std::tuple{b->second.errors(), b->second.n, a->first}
           < std::tuple{a->second.errors(), a->second.n, b->first};
  });
  out.resize(std::min(out.size(), top));
  return out;
}

std::vector<std::string> columns_after(std::vector<std::string> keys) {
  for (const auto* name : {"total", "errors", "errorRate", "clientErrors", "serverErrors",
                           "clientErrorRate", "serverErrorRate"})
    keys.emplace_back(name);
  return keys;
}

} // namespace

std::string daily_http(tally_source& counts, const question_parameters& parameters,
                       std::optional<int64_t> start_at_us) {
  const counted_range range{counts, parameters, start_at_us};
  const auto days = range.buckets(interval::day);
  grouped_query query{.by = {attribute::route, attribute::method}};
  query.want(measure::events).want(measure::details);
  query.own = range.own();
  json head = range.asked();
  choose_each({attribute::route, attribute::method}, parameters, query, head);
  for (const auto& day : days)
    query.buckets.push_back(range.slots_of(day.range));
  answer_list totals{columns_after({"date"})};
  answer_list routes{columns_after({"date", "route", "method"})};
  // Where there is one list only, totals are rows without a route.
  const bool one_list = parameters.text("format").value_or("json") != "json";
  const auto top = parameters.number("top").value_or(default_top);
  count_each(counts, query, [&](size_t day, groups_of_bucket counted) {
    const auto& date = days[day].label;
    std::erase_if(counted, [](const auto& group) { return group.first[0].empty(); });
    group_counts all;
    for (const auto& [key, of_route] : counted)
      all.add(of_route);
    if (one_list)
      add_row(routes, {date, {}, {}}, all);
    else
      add_row(totals, {date}, all);
    for (const auto* group : worst_first(counted, top))
      add_row(routes, {date, group->first[0], text_or_null(group->first[1])}, group->second);
  });
  if (auto alone = rows_alone(routes, parameters))
    return std::move(*alone);
  return json_envelope{head}.add("totals", totals.as_json()).add("routes", routes.as_json()).take();
}

} // namespace phi::statistics
