#include "server/store/sqlite/connection.hpp"

#include <algorithm>
#include <sqlite3.h>

namespace phi::store {

void sqlite_connection::open(const std::string& file, access mode) {
  close();
  int flags =
    mode == access::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (sqlite3_open_v2(file.c_str(), &handle_, flags | SQLITE_OPEN_NOMUTEX, nullptr) != SQLITE_OK) {
    int code = handle_ ? sqlite3_extended_errcode(handle_) : SQLITE_CANTOPEN;
    std::string text = handle_ ? sqlite3_errmsg(handle_) : "out of memory";
    close();
    throw sqlite_error{code, "cannot open " + file + ": " + text};
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_rollback_hook(handle_, &sqlite_connection::rolled_back, this);
  doomed_ = false;
}

void sqlite_connection::rolled_back(void* self) {
  static_cast<sqlite_connection*>(self)->doomed_ = false;
}

void sqlite_connection::keep_log_on_close() {
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

void sqlite_connection::close() noexcept {
  if (handle_)
    sqlite3_close_v2(handle_);
  handle_ = nullptr;
}

void sqlite_connection::fail(const std::string& attempt) {
  sqlite_error failed{sqlite3_extended_errcode(handle_), attempt + ": " + sqlite3_errmsg(handle_)};
  doomed_ |= is_corrupt(failed) && !autocommit();
  throw failed;
}

void sqlite_connection::run(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    fail(sql.substr(0, sql.find_first_of("\n(")));
}

void sqlite_connection::set_busy_timeout(std::chrono::milliseconds limit) {
  busy_limit_ = limit;
  if (handle_)
    sqlite3_busy_handler(handle_, &sqlite_connection::wait_for_lock, this);
}

/// SQLite's own handler sleeps without a look at anything else.
int sqlite_connection::wait_for_lock(void* self, int tries) {
  auto& db = *static_cast<sqlite_connection*>(self);
  auto now = std::chrono::steady_clock::now();
  if (tries == 0)
    db.busy_since_ = now;
  if (now - db.busy_since_ >= db.busy_limit_ || check(self) != 0)
    return 0;
  sqlite3_sleep(std::min(tries + 1, static_cast<int>(work_watch::interval.count())));
  return 1;
}

int sqlite_connection::check(void* self) {
  auto& db = *static_cast<sqlite_connection*>(self);
  if (db.watch_ && db.ended_ == end_cause::none)
    db.ended_ = db.watch_->check();
  return db.ended_ != end_cause::none;
}

void sqlite_connection::watched_by(work_watch* watch) {
  constexpr int operations = 2000; // well below a millisecond
  watch_ = watch;
  ended_ = end_cause::none;
  if (handle_)
    sqlite3_progress_handler(handle_, watch ? operations : 0,
                             watch ? &sqlite_connection::check : nullptr, this);
}

void sqlite_connection::stop_if_told() {
  if (check(this) != 0)
    throw sqlite_error{SQLITE_INTERRUPT, "interrupted"};
}

int64_t sqlite_connection::changes() const {
  return sqlite3_changes64(handle_);
}

bool is_about_data(const sqlite_error& e) {
  auto code = e.code() & 0xff;
  return code == SQLITE_CONSTRAINT || code == SQLITE_TOOBIG || code == SQLITE_MISMATCH;
}

bool is_corrupt(const sqlite_error& e) {
  return (e.code() & 0xff) == SQLITE_CORRUPT;
}

bool is_full(const std::exception& e) {
  const auto* refused = dynamic_cast<const sqlite_error*>(&e);
  return refused && (refused->code() & 0xff) == SQLITE_FULL;
}

int64_t sqlite_connection::data_version() {
  statement ask{*this, "PRAGMA data_version"};
  return ask.step() ? ask.integer(0) : 0;
}

void sqlite_connection::must_be_at(int64_t version) {
  if (data_version() != version)
    throw written_by_others{};
}

bool sqlite_connection::autocommit() const {
  return sqlite3_get_autocommit(handle_) != 0;
}

void sqlite_connection::abandon_transaction() noexcept {
  try {
    if (is_open() && !autocommit())
      run("ROLLBACK");
  } catch (const sqlite_error&) {
    close();
  }
}

statement::statement(sqlite_connection& on, std::string_view sql) : on_(on) {
  if (sqlite3_prepare_v3(on.handle(), sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &handle_, nullptr)
      != SQLITE_OK)
    on_.fail("prepare");
}

statement::~statement() {
  sqlite3_finalize(handle_);
}

statement::statement(statement&& other) noexcept : on_(other.on_), handle_(other.handle_) {
  other.handle_ = nullptr;
}

statement& statement::bind(int at, int64_t value) {
  sqlite3_bind_int64(handle_, at, value);
  return *this;
}

statement& statement::bind(int at, std::string_view text) {
  sqlite3_bind_text(handle_, at, text.data() ? text.data() : "", static_cast<int>(text.size()),
                    SQLITE_STATIC);
  return *this;
}

statement& statement::bind_blob(int at, const void* data, size_t size) {
  sqlite3_bind_blob(handle_, at, data, static_cast<int>(size), SQLITE_STATIC);
  return *this;
}

statement& statement::bind_null(int at) {
  sqlite3_bind_null(handle_, at);
  return *this;
}

statement& statement::bind_or_null(int at, std::string_view text) {
  return text.empty() ? bind_null(at) : bind(at, text);
}

void statement::bind_all(const std::vector<statistics::parameter>& values) {
  int bound = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    // A name to SQLite, which numbers its parameters as it comes to them.
    auto at = sqlite3_bind_parameter_index(handle_, ("$" + std::to_string(i + 1)).c_str());
    if (at == 0)
      continue;
    ++bound;
    const auto& value = values[i];
    if (const auto* whole = std::get_if<int64_t>(&value))
      bind(at, *whole);
    else if (const auto* text = std::get_if<std::string_view>(&value))
      bind(at, *text);
    else
      bind_null(at);
  }
  if (bound != sqlite3_bind_parameter_count(handle_))
    throw std::logic_error(std::string{"values are missing for "} + sqlite3_sql(handle_));
}

bool statement::step() {
  int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW)
    return true;
  if (code == SQLITE_DONE)
    return false;
  on_.fail("step");
}

void statement::execute() {
  try {
    while (step()) {
    }
  } catch (...) {
    reset();
    throw;
  }
  reset();
}

void statement::reset() {
  sqlite3_reset(handle_);
}

int64_t statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

std::string statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  return data ? std::string{data, static_cast<size_t>(sqlite3_column_bytes(handle_, column))}
              : std::string{};
}

std::string_view statement::blob(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  return data ? std::string_view{data, static_cast<size_t>(sqlite3_column_bytes(handle_, column))}
              : std::string_view{};
}

bool statement::null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

} // namespace phi::store
