#include "server/store/sqlite/schema.hpp"

#include "server/platform/digest.hpp"
#include "server/store/sqlite/statements.hpp"

#include <iterator>
#include <sqlite3.h>

namespace phi::store {
namespace {

int64_t pragma(sqlite_connection& db, const std::string& name) {
  statement get{db, "PRAGMA " + name};
  return get.step() ? get.integer(0) : 0;
}

bool has_tables(sqlite_connection& db) {
  statement get{db, "SELECT count(*) FROM sqlite_schema"};
  return get.step() && get.integer(0) > 0;
}

} // namespace

int current_schema() {
  return static_cast<int>(std::size(sql::migrations));
}

int migrate(sqlite_connection& db) {
  // Read inside the transaction: of two programs that start at once, one migrates, one waits.
  sqlite_transaction migration{db};
  auto application = pragma(db, "application_id");
  auto version = static_cast<int>(pragma(db, "user_version"));
  if (application != sql::application_id && (application != 0 || has_tables(db)))
    throw sqlite_error{SQLITE_NOTADB, "the file is an SQLite database, but not one of phi-backend;"
                                      " name another file in stats.sqlite_path"};
  if (version > current_schema())
    throw sqlite_error{SQLITE_NOTADB, "the database was written by a newer version (schema "
                                        + std::to_string(version) + ", this program knows "
                                        + std::to_string(current_schema())
                                        + "); install that version"};
  for (int next = version; next < current_schema(); ++next)
    db.run(sql::migrations[next]);
  if (version < current_schema() || application != sql::application_id) {
    // Else nothing is written: a start must be possible on a full disk.
    db.run("PRAGMA application_id = " + std::to_string(sql::application_id));
    db.run("PRAGMA user_version = " + std::to_string(current_schema()));
  }
  migration.commit();
  return version;
}

std::string id_of(sqlite_connection& db) {
  db.run(sql::create_about);
  auto fresh = random_hex(16);
  statement make{db, sql::make_id};
  make.bind(1, std::string_view{fresh});
  make.execute();
  statement read{db, sql::read_id};
  return read.step() ? read.text(0) : std::string{};
}

void forget_id(sqlite_connection& db) {
  db.run(sql::create_about);
  db.run(sql::forget_id);
}

} // namespace phi::store
