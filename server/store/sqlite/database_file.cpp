#include "server/store/sqlite/database_file.hpp"

#include "server/store/sqlite/schema.hpp"
#include "server/store/sqlite/statements.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <stdexcept>

namespace phi::store {
namespace {

int64_t first_number(sqlite_connection& db, std::string_view sql) {
  statement ask{db, sql};
  return ask.step() ? ask.integer(0) : 0;
}

/// Throws when it is damaged, of another program, or of a newer version.
std::string check(sqlite_connection& db) {
  if (first_number(db, "PRAGMA application_id") != sql::application_id)
    throw std::runtime_error("it is not a database of phi-backend");
  auto schema = first_number(db, "PRAGMA user_version");
  if (schema > current_schema())
    throw std::runtime_error("it was written by a newer version (schema " + std::to_string(schema)
                             + ", this program knows " + std::to_string(current_schema())
                             + "); install that version");
  statement sound{db, "PRAGMA integrity_check(1)"};
  if (!sound.step() || sound.text(0) != "ok")
    throw std::runtime_error("the database is damaged: " + sound.text(0));
  return std::to_string(first_number(db, "SELECT count(*) FROM event")) + " events, schema "
         + std::to_string(schema);
}

} // namespace

std::string check_file(const std::string& file, work_watch* watch) {
  sqlite_connection db;
  db.open(file, sqlite_connection::access::read_only);
  db.watched_by(watch);
  return check(db);
}

std::string settle_file(const std::string& file) {
  if (!std::filesystem::exists(file))
    throw std::runtime_error("there is no such file");
  sqlite_connection db;
  db.open(file, sqlite_connection::access::read_write);
  auto found = check(db);
  statement leave_log{db, "PRAGMA journal_mode = DELETE"};
  if (!leave_log.step() || leave_log.text(0) != "delete")
    throw std::runtime_error("its write-ahead log cannot be folded in");
  forget_id(db);
  return found;
}

nlohmann::ordered_json back_up(sqlite_connection& db, const std::string& to, work_watch& watch) {
  if (std::filesystem::exists(to))
    throw std::runtime_error(to + " is there already");
  try {
    if (first_number(db, "PRAGMA auto_vacuum") == 0) // of an earlier version: the copy is not
      db.run("PRAGMA auto_vacuum = INCREMENTAL");
    statement copy{db, "VACUUM INTO ?1"};
    copy.bind(1, std::string_view{to});
    copy.execute();
    {
      sqlite_connection fresh; // a copy that is put in place again is another database
      fresh.open(to, sqlite_connection::access::read_write);
      forget_id(fresh);
    }
    check_file(to, &watch);
    sqlite_connection check;
    check.open(to, sqlite_connection::access::read_only);
    check.watched_by(&watch);
    return {{"bytes", std::filesystem::file_size(to)},
            {"events", first_number(check, "SELECT count(*) FROM event")}};
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(to, ignored);
    throw;
  }
}

} // namespace phi::store
