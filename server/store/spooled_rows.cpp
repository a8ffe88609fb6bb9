#include "server/store/spooled_rows.hpp"

#include "server/platform/digest.hpp"
#include "server/store/packed_events.hpp"

#include <exception>

namespace phi::store {

std::string kept_batch::damage() const {
  if (hex_digest(body) != checksum)
    return "its checksum is wrong";
  try {
    auto held = unpack_events(body).size();
    return held == static_cast<size_t>(events) ? "" : "it holds another number of events";
  } catch (const std::exception& e) {
    return e.what();
  }
}

kept_batch read_row(const statement& row) {
  return {row.integer(0), row.text(1), row.integer(2), row.integer(3),
          row.text(4),    row.text(5), row.text(6)};
}

void write_row(database& db, const kept_batch& kept) {
  statement put{db, "INSERT OR IGNORE INTO batch(id, taken_us, events, body, checksum, aside)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"};
  put.bind_blob(1, kept.id.data(), kept.id.size()).bind(2, kept.taken_us).bind(3, kept.events);
  put.bind_blob(4, kept.body.data(), kept.body.size()).bind(5, std::string_view{kept.checksum});
  put.bind_or_null(6, kept.aside).execute();
}

std::map<int64_t, kept_batch> salvage(const std::string& file) {
  std::map<int64_t, kept_batch> out;
  for (const char* order : {"ASC", "DESC"}) {
    try {
      database db;
      db.open(file, database::access::read_write);
      statement all{db, select_kept + "NOT INDEXED ORDER BY seq " + order};
      while (all.step()) {
        auto kept = read_row(all);
        if (kept.damage().empty())
          out.emplace(kept.seq, std::move(kept));
      }
    } catch (const sqlite_error&) {
      // Here it breaks.
    }
  }
  return out;
}

} // namespace phi::store
