#include "server/store/sqlite/row_writer.hpp"

#include "server/store/sqlite/statements.hpp"

namespace phi::store {

row_writer::row_writer(sqlite_connection& db)
  : event_(db, sql::insert_event),
    count_(db, sql::add_count),
    status_(db, sql::add_status),
    instance_(db, sql::add_instance),
    latency_(db, sql::add_latency),
    user_(db, sql::add_user),
    address_(db, sql::add_address) {}

void row_writer::put(const event& e, int64_t seq) {
  auto& row = event_;
  row.bind(1, e.time_us).bind_blob(2, e.identity.data(), e.identity.size());
  row.bind_or_null(3, e.feature).bind_or_null(4, e.action).bind_or_null(5, e.route);
  row.bind_or_null(6, e.method).bind_or_null(9, e.user_hash).bind_or_null(10, e.user_kind);
  row.bind_or_null(11, e.address_hash).bind_or_null(12, e.instance).bind_or_null(13, e.extra);
  e.status != 0 ? row.bind(7, int64_t{e.status}) : row.bind_null(7);
  e.duration_us >= 0 ? row.bind(8, e.duration_us) : row.bind_null(8);
  row.bind(14, seq).execute();
}

void row_writer::add(const statistics::rollup& sums) {
  for (const auto& [key, of_key] : sums.counts)
    add(key, of_key);
  for (const auto& [key, n] : sums.statuses)
    status_.bind(1, key.slot).bind(2, key.a).bind(3, key.number).bind(4, n).execute();
  for (const auto& [key, n] : sums.instances)
    instance_.bind(1, key.slot).bind(2, key.a).bind(3, key.b).bind(4, n).execute();
  for (const auto& [key, n] : sums.latencies)
    latency_.bind(1, key.slot)
      .bind(2, key.a)
      .bind(3, key.b)
      .bind(4, key.c)
      .bind(5, key.number)
      .bind(6, n)
      .execute();
  for (const auto& [key, slots] : sums.users)
    user_.bind(1, key.slot)
      .bind(2, key.a)
      .bind(3, key.b)
      .bind(4, key.c)
      .bind(5, static_cast<int64_t>(slots.low))
      .bind(6, static_cast<int64_t>(slots.high))
      .execute();
  for (const auto& [key, slots] : sums.addresses)
    address_.bind(1, key.slot)
      .bind(2, key.a)
      .bind(3, static_cast<int64_t>(slots.low))
      .bind(4, static_cast<int64_t>(slots.high))
      .execute();
}

void row_writer::add(const statistics::rollup_key& key, const statistics::rollup_sums& sums) {
  auto& row = count_;
  row.bind(1, key.slot).bind(2, key.a).bind(3, key.b).bind(4, key.c).bind(5, key.d);
  row.bind(6, key.number).bind(7, sums.n).bind(8, sums.errors).bind(9, sums.first_us);
  row.bind(10, sums.last_us).bind(11, sums.timed).bind(12, sums.sum_us);
  sums.timed > 0 ? row.bind(13, sums.min_us) : row.bind_null(13);
  sums.timed > 0 ? row.bind(14, sums.max_us) : row.bind_null(14);
  row.execute();
}

} // namespace phi::store
