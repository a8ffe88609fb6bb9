#include "server/store/sqlite/row_writer.hpp"

#include "server/store/sqlite/statements.hpp"

namespace phi::store {

row_writer::row_writer(sqlite_connection& db) : event_(db, sql::insert_event) {}

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

} // namespace phi::store
