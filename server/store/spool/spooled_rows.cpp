#include "server/store/spool/spooled_rows.hpp"

#include "protocol/fault_point.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/platform/digest.hpp"
#include "server/store/spool/packed_events.hpp"
#include "server/store/spool/watched_reads.hpp"
#include "server/store/sqlite/watched_file.hpp"

#include <chrono>
#include <exception>
#include <filesystem>
#include <sqlite3.h>

namespace phi::store {
namespace {

namespace fs = std::filesystem;

constexpr int spool_application_id = 0x50685370; // "PhSp"
/// 1: the first; 2: `tried_us`.
constexpr int64_t spool_version = 2;

/// In a repair.
constexpr size_t commit_after_bytes = 16 << 20;

constexpr auto schema = R"(
CREATE TABLE batch (
  seq      INTEGER PRIMARY KEY AUTOINCREMENT,
  id       BLOB NOT NULL UNIQUE,
  taken_us INTEGER NOT NULL,
  events   INTEGER NOT NULL,
  body     BLOB NOT NULL,
  checksum TEXT NOT NULL,
  aside    TEXT,
  tried_us INTEGER NOT NULL DEFAULT 0
) STRICT;
)";

int64_t first_number(sqlite_connection& db, std::string_view sql) {
  statement ask{db, sql};
  return ask.step() ? ask.integer(0) : 0;
}

void set_up(sqlite_connection& db, bool is_new) {
  if (is_new)
    db.run("PRAGMA auto_vacuum = INCREMENTAL");
  db.run("PRAGMA journal_mode = WAL");
  db.run("PRAGMA synchronous = FULL");
  db.run("PRAGMA journal_size_limit = 16777216");
  // Debian's default writes zeros over all that leaves, which needs as much room as it had come
  // with: a full spool could not get empty.
  db.run("PRAGMA secure_delete = FAST");
  auto version = first_number(db, "PRAGMA user_version");
  if (version == spool_version)
    return;
  sqlite_transaction set_up{db};
  if (is_new)
    db.run(schema);
  else // files of the first version have no number
    db.run("ALTER TABLE batch ADD COLUMN tried_us INTEGER NOT NULL DEFAULT 0");
  db.run("PRAGMA application_id = " + std::to_string(spool_application_id));
  db.run("PRAGMA user_version = " + std::to_string(spool_version));
  set_up.commit();
}

/// Of a file that is open. Fails when it is damaged.
outcome check_and_set_up(sqlite_connection& db) {
  // Before anything is written: what a newer version has made stays as it is.
  auto id = first_number(db, "PRAGMA application_id");
  auto version = first_number(db, "PRAGMA user_version");
  if (id == spool_application_id && version > spool_version) {
    db.keep_log_on_close();
    throw std::runtime_error("the spool was written by a newer version (format "
                             + std::to_string(version) + ", this program knows "
                             + std::to_string(spool_version) + "); install that version");
  }
  statement sound{db, "PRAGMA quick_check(1)"};
  if (!sound.step() || sound.text(0) != "ok")
    return outcome::failure(sound.text(0));
  sound.reset();
  bool is_new = first_number(db, "SELECT count(*) FROM sqlite_schema") == 0;
  if (id != spool_application_id && !is_new)
    return outcome::failure("it is no spool of phi-backend");
  set_up(db, is_new);
  return {};
}

/// Files of the first version have no `tried_us`.
statement rows_of(sqlite_connection& from, const std::string& order) {
  const auto rest = "FROM batch NOT INDEXED ORDER BY seq " + order;
  try {
    return {from, "SELECT seq, id, taken_us, events, body, checksum, aside, tried_us " + rest};
  } catch (const sqlite_error&) {
    return {from, "SELECT seq, id, taken_us, events, body, checksum, aside, 0 " + rest};
  }
}

/// What can be read of a damaged file, from one end until it breaks. Throws what goes wrong with
/// the new file, such as a full disk: then nothing is given up.
void copy_rows(sqlite_connection& from, sqlite_connection& to, const std::string& order,
               work_watch* watch) {
  std::optional<statement> all;
  auto next = [&]() -> std::optional<kept_batch> {
    try {
      if (!all)
        all.emplace(rows_of(from, order));
      return all->step() ? std::optional{read_row(*all)} : std::nullopt;
    } catch (const sqlite_error&) {
      return std::nullopt; // here it breaks
    }
  };
  size_t uncommitted = 0;
  while (auto kept = next()) {
    check_watch(watch);
    fault_point("spool.repair.row");
    if (!kept->check())
      continue;
    write_row(to, *kept);
    uncommitted += kept->body.size();
    if (uncommitted < commit_after_bytes)
      continue;
    to.run("COMMIT; BEGIN"); // which nothing ends: never much
    uncommitted = 0;
  }
}

std::string in_repair(const std::string& file) {
  return file + ".repair";
}

std::string repaired(const std::string& file) {
  return file + ".repaired";
}

/// The first free name of its kind: damaged files are never written over.
std::string free_name(const std::string& file) {
  auto stamp = format_rfc3339(wall_clock_us());
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
  auto out = file + ".damaged-" + stamp;
  for (int i = 2; fs::exists(out) || fs::exists(out + "-wal"); ++i)
    out = file + ".damaged-" + stamp + "-" + std::to_string(i);
  return out;
}

void remove_repair(const std::string& file) {
  for (const char* suffix : {"", "-journal", "-wal", "-shm"})
    fs::remove(in_repair(file) + suffix);
}

void move_if_there(const std::string& from, const std::string& to) {
  if (fs::exists(from))
    fs::rename(from, to);
}

} // namespace

bool is_damage(const sqlite_error& e) {
  auto code = e.code() & 0xff;
  return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

outcome kept_batch::check() const {
  if (hex_digest(body) != checksum)
    return outcome::failure("its checksum is wrong");
  if (id.size() != sizeof(digest))
    return outcome::failure("its id is wrong");
  try {
    auto held = unpack_events(body).size();
    return held == static_cast<size_t>(events)
             ? outcome{}
             : outcome::failure("it holds another number of events");
  } catch (const std::exception& e) {
    return outcome::failure(e.what());
  }
}

kept_batch read_row(const statement& row) {
  kept_batch out;
  statistics::read_columns(row, out.seq, out.id, out.taken_us, out.events, out.body, out.checksum,
                           out.aside, out.tried_us);
  return out;
}

void write_row(sqlite_connection& db, const kept_batch& kept) {
  statement put{db, "INSERT OR IGNORE INTO batch(seq, id, taken_us, events, body, checksum, aside,"
                    " tried_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"};
  put.bind(1, kept.seq).bind_blob(2, kept.id.data(), kept.id.size());
  put.bind(3, kept.taken_us).bind(4, kept.events);
  put.bind_blob(5, kept.body.data(), kept.body.size()).bind(6, std::string_view{kept.checksum});
  put.bind_or_null(7, kept.aside).bind(8, kept.tried_us).execute();
}

int64_t last_number(sqlite_connection& db) {
  return first_number(db, "SELECT max(seq) FROM sqlite_sequence WHERE name = 'batch'");
}

uint64_t free_bytes(sqlite_connection& db) {
  return static_cast<uint64_t>(first_number(db, "PRAGMA freelist_count")
                               * first_number(db, "PRAGMA page_size"));
}

outcome open_spool(sqlite_connection& db, const std::string& file, work_watch* watch) {
  auto folder = fs::path{file}.parent_path();
  if (!folder.empty())
    fs::create_directories(folder);
  db.open(file, sqlite_connection::access::read_write);
  watched_reads reads{db, watch};
  try {
    auto sound = check_and_set_up(db);
    reads.throw_if_ended();
    return sound;
  } catch (const sqlite_error& e) {
    reads.throw_if_ended();
    if (!is_damage(e))
      throw;
    return outcome::failure(e.what());
  }
}

std::string repair_spool(const std::string& file, work_watch* watch) {
  remove_repair(file);
  {
    sqlite_connection from;
    sqlite_connection to;
    if (auto opened = open_spool(to, in_repair(file), nullptr); !opened)
      throw std::runtime_error(opened.why());
    to.run("PRAGMA journal_mode = DELETE"); // one file, so that one rename is enough
    to.run("BEGIN");
    from.open(file, sqlite_connection::access::read_write);
    from.keep_log_on_close();
    copy_rows(from, to, "ASC", watch);
    copy_rows(from, to, "DESC", watch);
    to.run("COMMIT");
  }
  fault_point("spool.repair.copied");
  fs::rename(in_repair(file), repaired(file));
  flush_directory(fs::path{file}.parent_path().string());
  fault_point("spool.repair.ready");
  return *finish_repair(file);
}

std::optional<std::string> finish_repair(const std::string& file) {
  if (!fs::exists(repaired(file))) {
    remove_repair(file); // cut short before it was whole: the damaged file is still there
    return std::nullopt;
  }
  auto aside = free_name(file);
  // The log first: with the file gone and the log there, the new file would take it for its own.
  move_if_there(file + "-wal", aside + "-wal");
  fault_point("spool.repair.log_moved");
  move_if_there(file + "-shm", aside + "-shm");
  move_if_there(file, aside);
  fault_point("spool.repair.moved");
  flush_directory(fs::path{file}.parent_path().string());
  fs::rename(repaired(file), file);
  flush_directory(fs::path{file}.parent_path().string());
  fault_point("spool.repair.done");
  return aside;
}

} // namespace phi::store
