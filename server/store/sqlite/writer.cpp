#include "server/store/sqlite/ports.hpp"

#include "actors/log.hpp"
#include "protocol/fault_point.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/statistics/rollup.hpp"
#include "server/store/database_id.hpp"
#include "server/store/halving.hpp"
#include "server/store/sqlite/connection.hpp"
#include "server/store/sqlite/schema.hpp"
#include "server/store/sqlite/statements.hpp"
#include "server/store/sqlite/watched_file.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <span>
#include <sqlite3.h>

namespace phi::store {
namespace {

/// The statements of the writing connection; they live as long as it is open.
struct writer_statements {
  explicit writer_statements(sqlite_connection& db)
    : identity(db, sql::insert_identity),
      event(db, sql::insert_event),
      count(db, sql::add_count),
      status(db, sql::add_status),
      instance(db, sql::add_instance),
      latency(db, sql::add_latency),
      user(db, sql::add_user),
      address(db, sql::add_address),
      begin(db, "BEGIN IMMEDIATE"),
      commit(db, "COMMIT"),
      rollback(db, "ROLLBACK"),
      savepoint(db, "SAVEPOINT pieces"),
      keep(db, "RELEASE pieces"),
      undo(db, "ROLLBACK TO pieces") {}

  statement identity, event, count, status, instance, latency, user, address, begin, commit,
    rollback, savepoint, keep, undo;
};

/// While one reader follows upon another there is no moment in which the log could begin anew: once
/// it is too large we make one. So long we wait for readers, longer the larger it is, and a tenth
/// of the time at most.
constexpr auto cut_log_patience = std::chrono::milliseconds{100};
constexpr uint64_t cut_log_most_patience = 5;
constexpr int cut_log_share = 10;

/// A log of this size is not written back, for somebody reads what was there before it.
constexpr uint64_t large_log_bytes = uint64_t{256} << 20;

/// Whether the data are at fault: a constraint, a size, a type. Only the statement has failed then.
bool is_about_data(const sqlite_error& e) {
  auto code = e.code() & 0xff;
  return code == SQLITE_CONSTRAINT || code == SQLITE_TOOBIG || code == SQLITE_MISMATCH;
}

class sqlite_writer : public store_port {
public:
  explicit sqlite_writer(sqlite_settings with) : with_(std::move(with)) {}

  void watched_by(work_watch_ptr watch) override { watch_ = std::move(watch); }

  outcome open() override {
    try {
      // After the actor died: never another file than the one that was there.
      if (auto there = file_.in_place(); !there)
        throw std::runtime_error(there.why());
      open_file();
      return {};
    } catch (const std::exception& e) {
      close_file();
      return outcome::failure(with_.file + ": " + e.what());
    }
  }

  commit_result commit(commit_batch& batch) override {
    auto began = std::chrono::steady_clock::now();
    commit_result result{.number = batch.number};
    try {
      run_transaction(batch, result);
    } catch (const std::exception& e) {
      not_committed(batch, result, e);
    }
    sums_.clear();
    result.took = std::chrono::steady_clock::now() - began;
    cut_log();
    activity_ = "idle";
    return result;
  }

  std::string degraded() const override {
    if (auto there = in_place(); !there)
      return there.why();
    auto log = size_of_file(with_.file + "-wal");
    return log < large_log_bytes ? std::string{}
                                 : "the write-ahead log has grown to " + std::to_string(log >> 20)
                                     + " MiB: somebody has been reading the database for long";
  }

  void tidy_up() override { cut_log(); }

  outcome close() override {
    auto out = in_place(); // the log goes with the last connection
    activity_ = "checkpoint";
    try {
      statements_.reset();
      if (db_.is_open() && with_.wal)
        db_.run("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (const std::exception& e) {
      // Nothing is lost: the next opening reads the write-ahead log.
      if (out)
        out = outcome::failure(e.what());
    }
    db_.close();
    activity_ = "closed";
    return out;
  }

  void apply_settings(const config& settings) override {
    with_ = sqlite_settings_of(settings);
    db_.set_busy_timeout(with_.busy_timeout);
  }

  std::string database_id() const override { return id_.get(); }
  std::string activity() const override { return activity_.load(); }

private:
  void open_file() {
    activity_ = "opening";
    auto folder = std::filesystem::path{with_.file}.parent_path();
    if (!folder.empty())
      std::filesystem::create_directories(folder);
    statements_.reset();
    db_.open(with_.file, sqlite_connection::access::read_write);
    db_.set_busy_timeout(with_.busy_timeout);
    db_.watched_by(watch_.get()); // to wait for a lock is no standstill
    db_.run(with_.wal ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = DELETE");
    db_.run(with_.how == durability::full ? "PRAGMA synchronous = FULL"
                                          : "PRAGMA synchronous = NORMAL");
    // Fewer, larger checkpoints: 4000 pages of 4 KiB. The log is cut back to that afterwards.
    db_.run("PRAGMA wal_autocheckpoint = 4000");
    db_.run("PRAGMA journal_size_limit = 16777216");
    db_.run("PRAGMA cache_size = -16384");
    auto found = migrate(db_);
    if (found != current_schema())
      log_info("store", found == 0 ? "creates the database" : "migrates the database",
               {{"file", with_.file}, {"from_schema", found}, {"to_schema", current_schema()}});
    id_.set(id_of(db_));
    statements_.emplace(db_);
    file_ = watched_file{with_.file};
    log_ = with_.wal ? watched_file{with_.file + "-wal"} : watched_file{};
    activity_ = "idle";
  }

  /// Whether the files are where they were. Else what is written to them now will not be found.
  outcome in_place() const {
    auto there = file_.in_place();
    return there ? log_.in_place() : there;
  }

  void stay_where_it_was() const {
    if (auto there = in_place(); !there)
      throw std::runtime_error(there.why());
  }

  /// With COMMIT begun nobody knows, and the connection is not to be trusted: the transaction may
  /// be whole in the log although flushing it failed (SQLite, "How To Corrupt", section 3).
  void not_committed(commit_batch& batch, commit_result& result, const std::exception& e) {
    result.detail = e.what();
    result.requests.clear();
    result.refused.clear();
    bool certain = !batch.committing() || says_not_committed(e);
    result.error = certain ? error_code::store_unavailable : error_code::outcome_unknown;
    if (certain)
      roll_back();
    else
      close_file();
    if (certain)
      batch.reopen();
  }

  /// Of a COMMIT that failed: it waits for others, or the disk is full; the frame that makes a
  /// transaction whole is the last one that is written, before the flush.
  bool says_not_committed(const std::exception& e) const {
    const auto* refused = dynamic_cast<const sqlite_error*>(&e);
    auto code = refused ? refused->code() & 0xff : SQLITE_OK;
    return code == SQLITE_FULL || (code == SQLITE_BUSY && !db_.autocommit());
  }

  /// Readers that come meanwhile read the database alone, so that only those that are there already
  /// are waited for. One that stays is waited for in vain: the log grows until it ends.
  void cut_log() {
    auto now = std::chrono::steady_clock::now();
    if (!with_.wal || !statements_ || now < cut_log_at_)
      return;
    auto times = size_of_file(log_.path()) / with_.log_limit;
    if (times == 0)
      return;
    activity_ = "checkpoint";
    std::chrono::milliseconds wait = cut_log_patience * std::min(times, cut_log_most_patience);
    db_.set_busy_timeout(std::min(with_.busy_timeout, wait));
    try {
      db_.run("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (const sqlite_error& e) {
      log_debug("store", "cannot cut its log", {{"cause", e.what()}});
    }
    db_.set_busy_timeout(with_.busy_timeout);
    cut_log_at_ = std::chrono::steady_clock::now() + wait * cut_log_share;
    activity_ = "idle";
  }

  void close_file() noexcept {
    statements_.reset();
    log_ = {}; // goes with the last connection
    db_.close();
  }

  void run_transaction(commit_batch& batch, commit_result& result) {
    if (!statements_)
      open_again();
    stay_where_it_was();
    activity_ = "BEGIN";
    statements_->begin.execute();
    if (batch.requests.empty()) // somebody wants to know whether it could be written
      db_.run("PRAGMA user_version = " + std::to_string(current_schema()));
    take_in(batch, result);
    fault_point("store.before_commit");
    if (!batch.begin_commit()) {
      roll_back();
      result.error = error_code::store_unavailable;
      result.detail = "abandoned";
      return;
    }
    activity_ = "COMMIT";
    statements_->commit.execute();
    fault_point("store.after_commit");
    stay_where_it_was();
  }

  /// After an error. Never another file than the one that was there: it may be an empty one.
  void open_again() {
    stay_where_it_was();
    open_file();
  }

  /// All events of the batch; those that are refused are found by halving.
  void take_in(const commit_batch& batch, commit_result& result) {
    result.requests.assign(batch.requests.size(), {});
    std::vector<batch_piece> whole;
    for (uint32_t i = 0; i < batch.requests.size(); ++i)
      whole.push_back({i, 0, static_cast<uint32_t>(batch.requests[i].events.size())});
    auto taken = try_to_take(batch, whole, result);
    if (taken)
      return;
    if (refuses_a_plain_event(batch))
      throw std::runtime_error(taken.why()); // nothing of the data's making
    auto pieces = pieces_of(batch);
    auto take = [&](std::span<const batch_piece> some) {
      if (batch.abandoned())
        throw std::runtime_error("abandoned");
      return try_to_take(batch, some, result);
    };
    auto refused = [&](const batch_piece& piece, const std::string& why) {
      refuse(result, piece, why);
    };
    take_all_but_culprits(pieces, true, take, refused);
  }

  /// Whether an event that nothing is wrong with is refused as well. It is taken back.
  bool refuses_a_plain_event(const commit_batch& of) {
    event probe{.time_us = wall_clock_us(), .feature = "phi.probe"};
    probe.identity = of.parts.front().id;
    commit_batch plain;
    plain.parts = {{probe.identity, 1}};
    plain.requests.resize(1);
    plain.requests.front().events.push_back(std::move(probe));
    commit_result ignored;
    ignored.requests.resize(1);
    std::vector<batch_piece> one{{0, 0, 1}};
    statements_->savepoint.execute();
    auto taken = try_to_take(plain, one, ignored);
    statements_->undo.execute();
    statements_->keep.execute();
    return !taken;
  }

  /// Takes these pieces, or none of them and says why not. Throws when the data are not at fault.
  outcome try_to_take(const commit_batch& batch, std::span<const batch_piece> pieces,
                      commit_result& result) {
    statements_->savepoint.execute();
    outcome taken;
    std::vector<commit_result::counts> counts(pieces.size());
    try {
      activity_ = "INSERT";
      for (size_t i = 0; i < pieces.size(); ++i)
        counts[i] = insert(batch, pieces[i]);
      activity_ = "roll-ups";
      write_rollups();
    } catch (const sqlite_error& e) {
      if (!is_about_data(e))
        throw;
      statements_->undo.execute();
      taken = outcome::failure(e.what());
    }
    sums_.clear();
    statements_->keep.execute();
    for (size_t i = 0; i < pieces.size() && taken; ++i) {
      result.requests[pieces[i].request].stored += counts[i].stored;
      result.requests[pieces[i].request].duplicates += counts[i].duplicates;
    }
    return taken;
  }

  commit_result::counts insert(const commit_batch& batch, const batch_piece& piece) {
    commit_result::counts counts;
    auto events =
      std::span{batch.requests[piece.request].events}.subspan(piece.first, piece.events);
    for (const auto& e : events) {
      auto day = statistics::day_of_slot(statistics::slot_of(e.time_us));
      statements_->identity.bind_blob(1, e.identity.data(), e.identity.size())
        .bind(2, day)
        .execute();
      if (db_.changes() == 0) {
        ++counts.duplicates;
        continue;
      }
      insert_row(e);
      sums_.add(e);
      ++counts.stored;
    }
    return counts;
  }

  void insert_row(const event& e) {
    auto& row = statements_->event;
    row.bind(1, e.time_us).bind_blob(2, e.identity.data(), e.identity.size());
    row.bind_or_null(3, e.feature).bind_or_null(4, e.action).bind_or_null(5, e.route);
    row.bind_or_null(6, e.method).bind_or_null(9, e.user_hash).bind_or_null(10, e.user_kind);
    row.bind_or_null(11, e.address_hash).bind_or_null(12, e.instance).bind_or_null(13, e.extra);
    e.status != 0 ? row.bind(7, int64_t{e.status}) : row.bind_null(7);
    e.duration_us >= 0 ? row.bind(8, e.duration_us) : row.bind_null(8);
    row.execute();
  }

  void write_rollups() {
    for (const auto& [key, sums] : sums_.counts)
      write_count(key, sums);
    for (const auto& [key, n] : sums_.statuses)
      statements_->status.bind(1, key.slot).bind(2, key.a).bind(3, key.number).bind(4, n).execute();
    for (const auto& [key, n] : sums_.instances)
      statements_->instance.bind(1, key.slot).bind(2, key.a).bind(3, key.b).bind(4, n).execute();
    for (const auto& [key, n] : sums_.latencies)
      statements_->latency.bind(1, key.slot)
        .bind(2, key.a)
        .bind(3, key.b)
        .bind(4, key.c)
        .bind(5, key.number)
        .bind(6, n)
        .execute();
    for (const auto& [key, slots] : sums_.users)
      statements_->user.bind(1, key.slot)
        .bind(2, key.a)
        .bind(3, key.b)
        .bind(4, key.c)
        .bind(5, static_cast<int64_t>(slots.low))
        .bind(6, static_cast<int64_t>(slots.high))
        .execute();
    for (const auto& [key, slots] : sums_.addresses)
      statements_->address.bind(1, key.slot)
        .bind(2, key.a)
        .bind(3, static_cast<int64_t>(slots.low))
        .bind(4, static_cast<int64_t>(slots.high))
        .execute();
  }

  void write_count(const statistics::rollup_key& key, const statistics::count_sums& sums) {
    auto& row = statements_->count;
    row.bind(1, key.slot).bind(2, key.a).bind(3, key.b).bind(4, key.c).bind(5, key.d);
    row.bind(6, key.number).bind(7, sums.n).bind(8, sums.errors).bind(9, sums.first_us);
    row.bind(10, sums.last_us).bind(11, sums.timed).bind(12, sums.sum_us);
    sums.timed > 0 ? row.bind(13, sums.min_us) : row.bind_null(13);
    sums.timed > 0 ? row.bind(14, sums.max_us) : row.bind_null(14);
    row.execute();
  }

  void roll_back() noexcept {
    try {
      if (db_.is_open() && !db_.autocommit())
        statements_->rollback.execute();
    } catch (const std::exception& e) {
      log_error("store", "cannot roll back; opens the database anew", {{"cause", e.what()}});
      close_file();
    }
  }

  sqlite_settings with_;
  work_watch_ptr watch_;
  sqlite_connection db_;
  store::database_id id_;
  std::optional<writer_statements> statements_;
  watched_file file_;
  watched_file log_;
  statistics::rollup sums_;
  std::chrono::steady_clock::time_point cut_log_at_{}; ///< not before
  std::atomic<const char*> activity_{"closed"};
};

} // namespace

sqlite_settings sqlite_settings_of(const config& settings) {
  using std::chrono::milliseconds;
  return {.file = settings.resolved.sqlite_path,
          .instance = settings.resolved.instance,
          .wal = settings.stats.sqlite_wal,
          .how = settings.resolved.how,
          .busy_timeout = milliseconds{settings.stats.busy_timeout_ms},
          .query_timeout = milliseconds{settings.stats.query_timeout_ms},
          .start_at_us = settings.resolved.start_at_us};
}

store_port_ptr make_sqlite_store(sqlite_settings with) {
  return std::make_shared<sqlite_writer>(std::move(with));
}

} // namespace phi::store
