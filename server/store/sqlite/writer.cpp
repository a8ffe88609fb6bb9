#include "server/store/sqlite/ports.hpp"

#include "actors/log.hpp"
#include "protocol/fault_point.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/store/database_id.hpp"
#include "server/store/halving.hpp"
#include "server/store/sqlite/connection.hpp"
#include "server/store/sqlite/derived_part.hpp"
#include "server/store/sqlite/log_cutter.hpp"
#include "server/store/sqlite/open_database.hpp"
#include "server/store/sqlite/schema.hpp"
#include "server/store/sqlite/watched_file.hpp"
#include "server/store/trial_events.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <span>
#include <sqlite3.h>

namespace phi::store {
namespace {

/// Events that the identities are told of before they come: about as many reads of memory as a
/// processor has under way at once.
constexpr size_t expected_ahead = 8;

/// After what is derived from the rows could not be written: the disk is nearly full.
constexpr auto derive_pause = std::chrono::seconds{10};

/// A log of this size is not written back, for somebody reads what was there before it.
constexpr uint64_t large_log_bytes = uint64_t{256} << 20;

class sqlite_writer : public store_port {
public:
  explicit sqlite_writer(sqlite_settings settings)
    : settings_(std::move(settings)),
      damaged_(settings_.damaged) {}

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
      return outcome::failure(settings_.file + ": " + e.what());
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
    result.took = std::chrono::steady_clock::now() - began;
    cut_log();
    activity_ = "idle";
    return result;
  }

  outcome condition() const override {
    if (auto there = in_place(); !there)
      return there;
    auto log = size_of_file(settings_.file + "-wal");
    if (log < large_log_bytes)
      return {};
    return outcome::failure("the write-ahead log has grown to " + std::to_string(log >> 20)
                            + " MiB: somebody has been reading the database for long");
  }

  void tidy_up() override {
    derive_at_rest();
    cut_log();
  }

  outcome close() override {
    auto out = in_place(); // the log goes with the last connection
    activity_ = "checkpoint";
    try {
      database_.reset();
      if (db_.is_open() && settings_.wal)
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
    settings_ = sqlite_settings_of(settings);
    db_.set_busy_timeout(settings_.busy_timeout);
  }

  std::string database_id() const override { return id_.get(); }
  std::string activity() const override { return activity_.load(); }

private:
  void open_file() {
    activity_ = "opening";
    auto folder = std::filesystem::path{settings_.file}.parent_path();
    if (!folder.empty())
      std::filesystem::create_directories(folder);
    database_.reset();
    db_.open(settings_.file, sqlite_connection::access::read_write);
    db_.set_busy_timeout(settings_.busy_timeout);
    db_.watched_by(watch_.get()); // to wait for a lock is no standstill
    free_pages::prepare(db_);
    db_.run(settings_.wal ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = DELETE");
    db_.run(settings_.durability == durability::full ? "PRAGMA synchronous = FULL"
                                                     : "PRAGMA synchronous = NORMAL");
    // Fewer, larger checkpoints: 4000 pages of 4 KiB. The log is cut back to that afterwards.
    db_.run("PRAGMA wal_autocheckpoint = 4000");
    db_.run("PRAGMA journal_size_limit = 16777216");
    db_.run("PRAGMA cache_size = -16384");
    db_.run("PRAGMA secure_delete = FAST"); // Debian's default writes zeros over all that goes
    auto found = migrate(db_);
    if (found != current_schema())
      log_info("store", found == 0 ? "creates the database" : "migrates the database",
               {{"file", settings_.file}, {"from_schema", found}, {"to_schema", current_schema()}});
    id_.set(id_of(db_));
    activity_ = "reading identities and counting";
    auto limits = settings_.identities;
    if (!limits.room)
      limits.room = [file = settings_.file] { return room_beside(file); };
    open_and_count(database_, db_, limits, settings_.cubes, damaged_);
    last_seq_ = database_->known.last_seq();
    has_old_tables_ = has_old_rollups(db_);
    file_ = watched_file{settings_.file};
    log_ = settings_.wal ? watched_file{settings_.file + "-wal"} : watched_file{};
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
    const auto* damaged = dynamic_cast<const damaged_run*>(&e);
    bool certain = !batch.committing() || says_not_committed(e);
    if (is_full(e)) // the rows alone may have room
      derive_at_ = std::chrono::steady_clock::now() + derive_pause;
    result.error = certain ? error_code::store_unavailable : error_code::outcome_unknown;
    if (certain)
      roll_back();
    if (damaged)
      have_made_anew(*damaged);
    if (damaged || !certain)
      close_file();
    if (certain)
      batch.reopen();
  }

  /// Of a COMMIT that failed: it waits for others, or the disk is full; the frame that makes a
  /// transaction whole is the last one that is written, before the flush.
  bool says_not_committed(const std::exception& e) const {
    const auto* refused = dynamic_cast<const sqlite_error*>(&e);
    return is_full(e) || (refused && (refused->code() & 0xff) == SQLITE_BUSY && !db_.autocommit());
  }

  void cut_log() {
    if (!settings_.wal || !database_)
      return;
    auto bytes = size_of_file(log_.path());
    if (!cutter_.is_due(bytes))
      return;
    activity_ = "checkpoint";
    cutter_.cut(db_, bytes, settings_.busy_timeout);
    activity_ = "idle";
  }

  void close_file() noexcept {
    database_.reset();
    log_ = {}; // goes with the last connection
    db_.close();
  }

  void run_transaction(commit_batch& batch, commit_result& result) {
    if (!database_)
      open_again();
    stay_where_it_was();
    begin();
    if (batch.requests.empty()) // somebody wants to know whether it could be written
      db_.run("PRAGMA user_version = " + std::to_string(current_schema()));
    take_in(batch, result);
    if (batch.events > 0)
      derive(batch.events);
    if (db_.is_doomed()) { // by what is derived: the rows alone can be written
      roll_back();
      if (!database_)
        open_again();
      begin();
      result.refused.clear();
      take_in(batch, result);
    }
    fault_point("store.before_commit");
    if (!batch.begin_commit()) {
      roll_back();
      result.error = error_code::store_unavailable;
      result.detail = "abandoned";
      return;
    }
    activity_ = "COMMIT";
    database_->commit.execute();
    fault_point("store.after_commit");
    trials_.committed(batch, result);
    result.counted_as_other = database_->counted.counted_as_other();
    result.identities_lost = static_cast<uint64_t>(database_->known.lost());
    settle();
    stay_where_it_was();
  }

  /// A slice of what is derived from the rows, in the transaction that is open. Events do not
  /// suffer when there is no room for it, nor one part by what has befallen another one.
  void derive(size_t events) {
    if (std::chrono::steady_clock::now() < derive_at_)
      return;
    activity_ = "writing identities and counts";
    database_->savepoint.execute();
    try {
      runs_.attempt(db_, [&] { database_->known.make_runs(events); });
      counts_.attempt(db_, [&] { database_->counted.work(events, database_->known.last_seq()); });
      old_rows_.attempt(db_, [&] {
        events == 0 ? delete_old_rows() : database_->retention.begin(now_us(), settings_.keep_days);
      });
      if (events == 0)
        free_pages_.attempt(db_, [&] { database_->unused.give_back(); });
      if (events == 0 && has_old_tables_)
        has_old_tables_ = drop_old_rollups(db_);
    } catch (const sqlite_error& e) {
      if (db_.autocommit())
        throw; // all of it was rolled back
      database_->undo.execute();
      database_->known.give_up_run();
      database_->counted.forgotten();
      database_->retention.forgotten();
      if (!is_corrupt(e))
        derive_at_ = std::chrono::steady_clock::now() + derive_pause;
      log_warn("store", "cannot write identities and counts for now; they are made later",
               {{"cause", e.what()}});
    }
    database_->keep.execute();
  }

  /// The transaction is committed.
  void settle() {
    database_->known.settled(last_seq_);
    database_->counted.settled();
    database_->retention.settled();
    if (database_->retention.is_held_up())
      database_->known.finish_generation();
  }

  int64_t now_us() const { return settings_.now_us ? settings_.now_us() : wall_clock_us(); }

  /// Of those that are behind neither mark: after a kill nobody misses them.
  void delete_old_rows() {
    if (database_->counted.is_repairing())
      return;
    if (database_->retention.is_due(now_us(), settings_.keep_days))
      database_->retention.step(
        now_us(), settings_.keep_days,
        std::min(database_->counted.last_seq(), database_->known.last_run_seq()));
  }

  bool has_work_at_rest() {
    return database_->known.is_making_runs() || has_old_tables_
           || database_->counted.is_working(last_seq_)
           || database_->retention.is_due(now_us(), settings_.keep_days)
           || database_->unused.are_many();
  }

  /// While no events come, what is under way goes on, in a transaction of its own.
  void derive_at_rest() {
    if (!database_)
      return;
    try {
      if (!has_work_at_rest() || !in_place())
        return;
      begin();
      derive(0);
      if (db_.is_doomed()) // else nothing of what it has found would be known the next time
        return roll_back();
      fault_point("store.derived");
      database_->commit.execute();
      settle();
    } catch (const damaged_run& e) {
      roll_back();
      have_made_anew(e);
      close_file();
    } catch (const std::exception& e) {
      log_debug("store", "cannot write identities and counts at rest", {{"cause", e.what()}});
      close_file(); // nobody knows what of it is committed
    }
    activity_ = "idle";
  }

  /// By the next opening.
  void have_made_anew(const damaged_run& found) noexcept {
    try {
      if (database_)
        mark_damaged(db_, found);
    } catch (const std::exception& e) {
      log_error("store", "cannot mark a damaged run of identities", {{"cause", e.what()}});
    }
  }

  /// What is known of identities holds for the rows that we have written. There is one writer, but
  /// for a moment: one that was given up and is still at it.
  void begin() {
    activity_ = "BEGIN";
    database_->begin.execute();
    if (db_.data_version() == database_->data_version)
      return;
    log_warn("store", "finds that somebody else has written to the database");
    database_->counted.read_again();
    database_->retention.read_again();
    if (!database_->known.catch_up()) {
      roll_back();
      open_again();
      database_->begin.execute();
      db_.must_be_at(database_->data_version);
    }
    database_->data_version = db_.data_version();
    last_seq_ = database_->known.last_seq();
  }

  /// After an error. Never another file than the one that was there: it may be an empty one.
  void open_again() {
    stay_where_it_was();
    try {
      open_file();
    } catch (...) {
      close_file(); // half open it would pass for open
      throw;
    }
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
    auto pieces = pieces_of(batch);
    if (!takes_anything(batch, pieces))
      throw std::runtime_error(taken.why()); // nothing of the data's making
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

  /// Whether any event of ours is taken, or any of these.
  bool takes_anything(const commit_batch& batch, std::span<const batch_piece> pieces) {
    commit_batch ours;
    ours.parts = {{batch.parts.front().id, 1}};
    ours.requests.resize(1);
    ours.requests.front().events = trials_.made(batch.parts.front().id, wall_clock_us());
    auto ours_alone = pieces_of(ours);
    auto some = spread_of(pieces, trial_pieces);
    auto would_store_of = [this, &batch](const commit_batch& whose) {
      return [this, &batch, &whose](const batch_piece& piece) {
        if (batch.abandoned())
          throw std::runtime_error("abandoned");
        return would_store(whose, piece);
      };
    };
    return std::any_of(ours_alone.begin(), ours_alone.end(), would_store_of(ours))
           || std::any_of(some.begin(), some.end(), would_store_of(batch));
  }

  /// Whether this piece alone is taken, and something of it is new. It is taken back.
  bool would_store(const commit_batch& batch, const batch_piece& piece) {
    commit_result trial;
    trial.requests.resize(batch.requests.size());
    database_->savepoint.execute();
    auto added = database_->known.added();
    auto last_seq = last_seq_;
    auto taken = try_to_take(batch, {&piece, 1}, trial);
    database_->undo.execute();
    database_->known.take_back(added);
    last_seq_ = last_seq;
    database_->keep.execute();
    return taken && trial.requests[piece.request].stored > 0;
  }

  /// Takes these pieces, or none of them and says why not. Throws when the data are not at fault.
  outcome try_to_take(const commit_batch& batch, std::span<const batch_piece> pieces,
                      commit_result& result) {
    database_->savepoint.execute();
    auto added = database_->known.added();
    auto last_seq = last_seq_;
    outcome taken;
    std::vector<commit_result::counts> counts(pieces.size());
    try {
      activity_ = "INSERT";
      event_walk coming{batch, pieces};
      for (size_t i = 0; i < expected_ahead; ++i)
        expect(coming.next());
      for (size_t i = 0; i < pieces.size(); ++i)
        counts[i] = insert(batch, pieces[i], coming);
    } catch (const sqlite_error& e) {
      if (!is_about_data(e))
        throw;
      database_->undo.execute();
      database_->known.take_back(added);
      last_seq_ = last_seq;
      taken = outcome::failure(e.what());
    }
    database_->keep.execute();
    for (size_t i = 0; i < pieces.size() && taken; ++i) {
      result.requests[pieces[i].request].stored += counts[i].stored;
      result.requests[pieces[i].request].duplicates += counts[i].duplicates;
    }
    return taken;
  }

  void expect(const event* coming) {
    if (coming)
      database_->known.expect(coming->identity);
  }

  /// `coming`: goes ahead.
  commit_result::counts insert(const commit_batch& batch, const batch_piece& piece,
                               event_walk& coming) {
    commit_result::counts counts;
    for (const auto& e : events_of(batch, piece)) {
      expect(coming.next());
      if (!database_->known.add(e.identity)) {
        ++counts.duplicates;
        continue;
      }
      if (database_->known.may_be_lost(e))
        throw sqlite_error{SQLITE_CONSTRAINT, "it may be stored already: what was known of ids of"
                                              " its time is damaged"};
      database_->rows.put(e, ++last_seq_);
      ++counts.stored;
    }
    return counts;
  }

  void roll_back() noexcept {
    try {
      if (!database_)
        return;
      if (!db_.autocommit())
        database_->rollback.execute();
      database_->known.forgotten();
      database_->counted.forgotten();
      database_->retention.forgotten();
      last_seq_ = database_->known.last_seq();
    } catch (const std::exception& e) {
      log_error("store", "cannot roll back; opens the database anew", {{"cause", e.what()}});
      close_file();
    }
  }

  sqlite_settings settings_;
  std::shared_ptr<damaged_days> damaged_;
  work_watch_ptr watch_;
  sqlite_connection db_;
  store::database_id id_;
  std::optional<open_database> database_;
  watched_file file_;
  watched_file log_;
  int64_t last_seq_ = 0; ///< of the rows, with those of the transaction that is open
  trial_events trials_;
  log_cutter cutter_{settings_.log_limit};
  std::chrono::steady_clock::time_point derive_at_{}; ///< not before
  derived_part runs_, counts_, old_rows_, free_pages_;
  bool has_old_tables_ = false; ///< roll-ups of an earlier schema
  std::atomic<const char*> activity_{"closed"};
};

} // namespace

store_port_ptr make_sqlite_store(sqlite_settings settings) {
  return std::make_shared<sqlite_writer>(std::move(settings));
}

} // namespace phi::store
