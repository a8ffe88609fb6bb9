#pragma once
/// A thin, owning face of SQLite's C interface. Included in this folder only.

#include "actors/ports/work_watch.hpp"
#include "server/statistics/row_source.hpp"

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace phi::store {

/// Thrown inside this folder; the ports turn it into values.
class sqlite_error : public std::runtime_error {
public:
  sqlite_error(int code, const std::string& text) : std::runtime_error(text), code_(code) {}
  int code() const { return code_; }

private:
  int code_;
};

/// Whether the data are at fault: a constraint, a size, a type. Only the statement has failed then.
bool is_about_data(const sqlite_error& e);

/// Whether a page of the file is not what was written. Rows on other pages can be read all the
/// same.
bool is_corrupt(const sqlite_error& e);

/// Whether the disk is full.
bool is_full(const std::exception& e);

/// What was read of the database is not what it says any more.
class written_by_others : public std::runtime_error {
public:
  written_by_others() : std::runtime_error("somebody else writes to the database") {}
};

/// One connection. Used by one thread.
class sqlite_connection {
public:
  enum class access : uint8_t { read_write, read_only };

  sqlite_connection() = default;
  ~sqlite_connection() { close(); }
  sqlite_connection(const sqlite_connection&) = delete;
  sqlite_connection& operator=(const sqlite_connection&) = delete;

  void open(const std::string& file, access mode);
  /// Closes; statements that are left keep it half open until they go. Harmless when closed
  /// already.
  void close() noexcept;
  bool is_open() const { return handle_ != nullptr; }

  /// Leaves the write-ahead log as it is when this is the last connection that closes.
  void keep_log_on_close();

  /// Runs statements without results.
  void run(const std::string& sql);
  /// How long a statement waits for a database that another connection holds. Harmless when closed.
  void set_busy_timeout(std::chrono::milliseconds limit);
  /// Statements that take long, and waits for a lock, look there and end when they are told to,
  /// with `ended` saying why. Null: nobody. It must outlive the statements.
  void watched_by(work_watch* watch);
  /// For long work between statements: throws as a statement does that is made to end.
  void stop_if_told();
  /// Why the last statement was made to end.
  end_cause ended() const { return ended_; }
  /// Rows changed by the last statement.
  int64_t changes() const;
  /// Whether no transaction is open.
  bool autocommit() const;
  /// Whether a page of the file was found to be lost in the transaction that is open: nothing can
  /// be written in it any more, nor can it be committed.
  bool is_doomed() const { return doomed_; }
  /// Changes when another connection has committed, and only then.
  int64_t data_version();
  /// In a transaction, before it writes what it has concluded from data of this version. Throws
  /// written_by_others.
  void must_be_at(int64_t version);
  /// Takes the open transaction back, if there is one. Closes when that fails: the next use opens.
  void abandon_transaction() noexcept;

  sqlite3* handle() const { return handle_; }
  [[noreturn]] void fail(const std::string& attempt);

private:
  static int check(void* self);
  static int wait_for_lock(void* self, int tries);
  static void rolled_back(void* self);

  sqlite3* handle_ = nullptr;
  std::chrono::milliseconds busy_limit_{};
  std::chrono::steady_clock::time_point busy_since_{};
  work_watch* watch_ = nullptr;
  end_cause ended_ = end_cause::none;
  bool doomed_ = false;
};

/// A transaction that is taken back unless it was committed.
class sqlite_transaction {
public:
  explicit sqlite_transaction(sqlite_connection& db) : db_(db) { db_.run("BEGIN IMMEDIATE"); }
  ~sqlite_transaction() { db_.abandon_transaction(); }
  sqlite_transaction(const sqlite_transaction&) = delete;
  sqlite_transaction& operator=(const sqlite_transaction&) = delete;

  void commit() { db_.run("COMMIT"); }

private:
  sqlite_connection& db_;
};

/// One prepared statement.
class statement : public statistics::row_cursor {
public:
  statement(sqlite_connection& on, std::string_view sql);
  ~statement() override;
  statement(statement&& other) noexcept;
  statement& operator=(statement&&) = delete;

  /// Binds from 1 on. Texts and blobs must live until the next `reset`.
  statement& bind(int at, int64_t value);
  statement& bind(int at, std::string_view text);
  statement& bind_blob(int at, const void* data, size_t size);
  statement& bind_null(int at);
  /// An empty text becomes NULL.
  statement& bind_or_null(int at, std::string_view text);

  /// Binds the parameters `$1`, `$2` ... Those values that it does not use are left out; throws
  /// std::logic_error when it uses more than there are.
  void bind_all(const std::vector<statistics::parameter>& values);

  /// True while there is a row.
  bool step() override;
  /// Runs to the end and makes it ready for the next binding.
  void execute();
  void reset();

  int64_t integer(int column) const override;
  std::string text(int column) const override;
  bool null(int column) const override;
  /// Good until the next step or reset.
  std::string_view blob(int column) const;

private:
  sqlite_connection& on_;
  sqlite3_stmt* handle_ = nullptr;
};

/// A statement keeps its view of the data until it is reset.
struct reset_at_end {
  statement& used;
  ~reset_at_end() { used.reset(); }
};

} // namespace phi::store
