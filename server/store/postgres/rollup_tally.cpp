#include "server/store/postgres/rollup_tally.hpp"

#include "server/store/postgres/statements.hpp"

namespace phi::store {
namespace {

using statistics::row_cursor;
using statistics::tally;
using statistics::tally_query;

/// A statement whose parameters are the first and the last slot, and the feature.
row_cursor& ask(statistics::row_source& rows, std::string_view sql, const tally_query& query) {
  return rows.ask(sql,
                  {query.range.begin, query.range.end, statistics::text_or_any(query.feature)});
}

/// A statement over a table with one row a UTC day and a bit a slot: users, addresses.
row_cursor& ask_active(statistics::row_source& rows, std::string_view sql,
                       const tally_query& query) {
  using statistics::slots_per_day;
  const auto range = query.range;
  auto first_day = statistics::day_of_slot(range.begin);
  auto last_day = statistics::day_of_slot(range.end - 1);
  auto last_slot = range.end - last_day * slots_per_day;
  auto first = statistics::slots_between(range.begin - first_day * slots_per_day, slots_per_day);
  auto last = statistics::slots_between(0, last_slot);
  if (first_day == last_day) {
    first = {first.low & last.low, first.high & last.high};
    last = first;
  }
  return rows.ask(sql, {first_day, last_day, statistics::text_or_any(query.feature),
                        static_cast<int64_t>(first.low), static_cast<int64_t>(first.high),
                        static_cast<int64_t>(last.low), static_cast<int64_t>(last.high)});
}

/// Sums in two columns, from `column` on (PHI_WIDE_SUM).
statistics::uint128 wide(const row_cursor& row, int column) {
  return (static_cast<statistics::uint128>(row.integer(column)) << 32)
         + static_cast<statistics::uint128>(row.integer(column + 1));
}

uint64_t counted(const row_cursor& row, int column) {
  return static_cast<uint64_t>(row.integer(column));
}

void add_counts(statistics::row_source& rows, const tally_query& query, tally& into) {
  for (auto& row = ask(rows, postgres_sql::counts, query); row.step();)
    into.counts[{row.text(0), row.text(1), row.text(2), row.text(3)}] = {.n = counted(row, 4),
                                                                         .errors = counted(row, 5),
                                                                         .timed = counted(row, 6),
                                                                         .sum_us = wide(row, 7),
                                                                         .max_us = row.integer(9)};
  for (auto& row = ask(rows, postgres_sql::spans, query); row.step();)
    into.spans[row.text(0)] = {row.integer(1), row.integer(2)};
}

void add_users(statistics::row_source& rows, const tally_query& query, tally& into) {
  if (query.wanted.users) {
    auto& total = ask_active(rows, postgres_sql::users_total, query);
    into.users = total.step() ? counted(total, 0) : 0;
  }
  if (query.wanted.users_by_kind)
    for (auto& row = ask_active(rows, postgres_sql::users_by_kind, query); row.step();)
      into.users_by_kind[row.text(0)] = counted(row, 1);
  if (query.wanted.users_by_feature)
    for (auto& row = ask_active(rows, postgres_sql::users_by_feature, query); row.step();)
      into.users_by_feature[row.text(0)] = counted(row, 1);
}

} // namespace

tally rollup_tally::count(const tally_query& query) {
  tally out;
  const auto& wanted = query.wanted;
  add_counts(rows_, query, out);
  if (wanted.latency)
    for (auto& row = ask(rows_, postgres_sql::latencies, query); row.step();)
      out.latencies[static_cast<int32_t>(row.integer(0))] = counted(row, 1);
  if (wanted.statuses)
    for (auto& row = ask(rows_, postgres_sql::statuses, query); row.step();)
      out.statuses[static_cast<int32_t>(row.integer(0))] = counted(row, 1);
  if (wanted.instances)
    for (auto& row = ask(rows_, postgres_sql::instance_counts, query); row.step();)
      out.instances[row.text(0)] = counted(row, 1);
  add_users(rows_, query, out);
  if (wanted.addresses)
    if (auto& row = ask_active(rows_, postgres_sql::addresses_total, query); row.step())
      out.addresses = counted(row, 0);
  return out;
}

} // namespace phi::store
