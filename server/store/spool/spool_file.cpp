#include "server/store/spool/spool_file.hpp"

#include "actors/log.hpp"
#include "actors/questions.hpp"
#include "config/defaults.hpp"
#include "protocol/fault_point.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/platform/digest.hpp"
#include "server/store/spool/packed_events.hpp"
#include "server/store/spool/spool_front.hpp"
#include "server/store/spool/spool_index.hpp"
#include "server/store/spool/spool_questions.hpp"
#include "server/store/spool/spool_room.hpp"
#include "server/store/spool/spooled_rows.hpp"
#include "server/store/spool/watched_reads.hpp"
#include "server/store/sqlite/connection.hpp"
#include "server/store/sqlite/watched_file.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sqlite3.h>

namespace phi::store {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

/// An index of this size is written anew when the spool is empty.
constexpr uint64_t large_index_bytes = 65'536;

class sqlite_spool : public spool_port {
public:
  explicit sqlite_spool(spool_settings settings) : settings_(std::move(settings)) {}

  outcome open() override {
    try {
      open_all(watch_.get());
      recovered_ = std::exchange(opened_, true) ? 0 : count_all();
      if (depth_.batches > 0)
        log_info("spool", "finds events that wait for the database",
                 {{"events", depth_.events}, {"batches", depth_.batches}});
      return {};
    } catch (const std::exception& e) {
      db_.close();
      return outcome::failure(settings_.file + ": " + e.what());
    }
  }

  uint64_t recovered() override { return std::exchange(recovered_, 0); }

  spool_result append(const commit_batch& batch) override {
    // Packing costs milliseconds, and a full spool is asked again and again: what cannot fit
    // however small it gets is not packed.
    auto room = check_room_for(packed_at_least(batch));
    if (!room)
      return {batch.number, error_code::spool_full, room.why()};
    auto body = pack_events(batch);
    if (room = check_room_for(body.size()); !room)
      return {batch.number, error_code::spool_full, room.why()};
    const auto& id = batch.parts.front().id;
    kept_batch kept{.id = {reinterpret_cast<const char*>(id.data()), id.size()},
                    .taken_us = wall_clock_us(),
                    .events = static_cast<int64_t>(batch.events),
                    .body = std::move(body)};
    kept.checksum = hex_digest(kept.body);
    auto written = safely([&] { put(kept); });
    if (written)
      return {batch.number};
    auto why = out_of_room_ ? error_code::spool_full : error_code::spool_failed;
    // Its COMMIT may have failed behind the point of no return: see that it is not there.
    auto undo = safely([&] { take_back(kept.id); });
    return {batch.number, undo ? why : error_code::outcome_unknown, written.why()};
  }

  commit_batch_ptr front(size_t most, size_t skip) override {
    return read("WHERE aside IS NULL ORDER BY seq LIMIT ?1 OFFSET ?2", most, skip);
  }

  commit_batch_ptr deferred() override {
    return read("WHERE " + is_deferred + " ORDER BY abs(tried_us), seq LIMIT ?1 OFFSET ?2", 1, 0);
  }

  outcome remove_front(const std::vector<refused_event>& refused) override {
    auto removed = delete_front(refused);
    if (!removed) { // others have filled the disk: the log may give some of it back
      safely([&] {
        db_.run("PRAGMA wal_checkpoint(TRUNCATE)");
      }).ignore("the second try tells whether it was of use");
      removed = delete_front(refused);
    }
    if (removed && depth_.batches + depth_.set_aside == 0)
      safely([&] { start_over(); }).ignore("large files are no harm; next time they get small");
    return removed;
  }

  outcome set_aside(uint64_t number, const std::string& why, bool try_again) override {
    return safely([&] {
      // Whoever wants it stored whatever its age wants so until it is stored, or set aside for
      // good.
      statement put{db_, "UPDATE batch SET aside = ?2, tried_us = iif(tried_us < 0, -?3, ?3)"
                         " WHERE seq = ?1"};
      put.bind(1, static_cast<int64_t>(number)).bind(2, std::string_view{why});
      put.bind(3, try_again ? wall_clock_us() : 0).execute();
      count();
    });
  }

  void watched_by(work_watch_ptr watch) override {
    watch_ = watch;
    progress_.over(std::move(watch));
  }

  std::optional<query_answer> answer(const spool_task& task, spool_progress& so_far) override {
    // On a slow machine a step of a check is over before one of its statements looks.
    if (std::holds_alternative<spool_check>(task) && watch_ && watch_->check() != end_cause::none)
      return ended_answer(watch_->check());
    std::optional<json> body;
    auto answered = safely(
      [&] { body = std::visit([&](const auto& asked) { return execute(asked, so_far); }, task); });
    auto ended = db_.ended();
    db_.watched_by(nullptr);
    if (ended != end_cause::none)
      return ended_answer(ended);
    if (!answered)
      return query_answer{error_code::store_unavailable, answered.why(), {}};
    if (!body)
      return std::nullopt;
    (*body)["file"] = settings_.file;
    (*body)["maxBytes"] = settings_.max_bytes;
    body->emplace("missingEvents", events_of(missing_));
    return query_answer{.body = body->dump()};
  }

  spool_depth depth() const override { return depth_; }

  outcome condition() const override {
    if (auto there = watched_.in_place(); !there)
      return there;
    if (!missing_.empty())
      return outcome::failure(std::to_string(events_of(missing_))
                              + " events are missing from the spool; see phictl spool fsck");
    if (depth_.aside_events > 0)
      return outcome::failure(std::to_string(depth_.aside_events)
                              + " events are set aside in the spool; see phictl spool show");
    return {};
  }

  void apply_settings(const config& settings) override { settings_ = spool_settings_of(settings); }

  outcome close() override {
    bool holds_some = depth_.batches + depth_.set_aside > 0;
    outcome written;
    if (db_.is_open())
      written = safely([&] {
        in_index([] {}); // one that stays behind calls what has gone a loss
        db_.run("PRAGMA wal_checkpoint(TRUNCATE)");
      });
    db_.close();
    auto there = watched_.in_place();
    if (there)
      return written;
    return holds_some ? there : outcome::failure(there.why());
  }

private:
  /// Nothing: there is more to do.
  std::optional<json> execute(const spool_show&, spool_progress&) { return show_spool(db_); }
  std::optional<json> execute(const spool_requeue&, spool_progress&) { return requeue(); }
  std::optional<json> execute(const spool_check& task, spool_progress& so_far) {
    db_.watched_by(watch_.get()); // a stop ends it
    bool done = check_some(db_, next_ - 1, so_far);
    db_.watched_by(nullptr);
    if (!done)
      return std::nullopt;
    auto body = show_check(so_far, missing_);
    if (task.forget_missing) {
      forget();
      body["ok"] = body["damaged"].empty(); // as it is from now on, what was missing being told
    }
    return body;
  }

  std::string index_file() const { return settings_.file + ".index"; }

  /// Open, compared and counted, or closed: never in between.
  void open_all(work_watch* watch) {
    try {
      open_and_compare(watch);
    } catch (...) {
      db_.close();
      throw;
    }
  }

  void open_and_compare(work_watch* watch) {
    auto repaired = finish_repair(settings_.file);
    auto held = index_.open(index_file());
    if (auto opened = open_spool(db_, settings_.file, watch); !opened)
      repaired = repair(opened.why(), watch);
    else if (repaired)
      log_error("spool", "ends a repair that was cut short", {{"kept_as", *repaired}});
    watched_ = watched_file{settings_.file};
    watched_reads reads{db_, watch};
    compare(held);
    count();
  }

  std::string repair(const std::string& damage, work_watch* watch) {
    db_.close();
    auto kept_as = repair_spool(settings_.file, watch);
    if (auto again = open_spool(db_, settings_.file, watch); !again)
      throw std::runtime_error(again.why());
    count();
    log_error("spool", "was damaged; what could be read is taken over",
              {{"cause", damage},
               {"kept_as", kept_as},
               {"batches", depth_.batches},
               {"events", depth_.events}});
    return kept_as;
  }

  /// What must be there against what is.
  void compare(const std::vector<indexed_batch>& held) {
    std::vector<indexed_batch> there;
    {
      statement all{db_, "SELECT seq, events FROM batch ORDER BY seq"};
      while (all.step())
        there.push_back({all.integer(0), all.integer(1)});
    }
    missing_.clear();
    std::set_difference(held.begin(), held.end(), there.begin(), there.end(),
                        std::back_inserter(missing_));
    if (!missing_.empty())
      log_error("spool", "has lost batches that it had acknowledged",
                {{"batches", missing_.size()},
                 {"events", events_of(missing_)},
                 {"first", missing_.front().number},
                 {"last", missing_.back().number},
                 {"remedy", "phictl spool fsck says more"}});
    if (index_.damaged_lines() > 0)
      log_warn("spool", "finds damaged lines in its index", {{"lines", index_.damaged_lines()}});
    next_ = std::max(index_.last(), last_number(db_)) + 1;
    // With batches that came or went right before a crash, of which nobody has been told.
    std::vector<indexed_batch> all;
    std::set_union(held.begin(), held.end(), there.begin(), there.end(), std::back_inserter(all));
    index_behind_ = index_.is_new() || all != held || index_.damaged_lines() > 0;
    in_index([] {});
  }

  /// Runs it; a file that turns out to be damaged is repaired, and that is a failure as well.
  template <class Work>
  outcome safely(Work work) {
    out_of_room_ = false;
    try {
      if (!db_.is_open())
        open_all(&progress_); // what comes in a stop must be taken
      work();
      return {};
    } catch (const sqlite_error& e) {
      if (is_damage(e))
        return repair_safely(e.what());
      out_of_room_ = e.code() == SQLITE_FULL || e.code() == SQLITE_IOERR_SHMSIZE;
      // After an error of the disk a connection is not to be trusted (SQLite, "How To Corrupt").
      if ((e.code() & 0xff) == SQLITE_IOERR)
        db_.close();
      return outcome::failure(e.what());
    } catch (const std::exception& e) {
      return outcome::failure(e.what());
    }
  }

  outcome repair_safely(const std::string& damage) {
    try {
      db_.close();
      repair(damage, &progress_);
      db_.close(); // the next use compares
      return outcome::failure("the spool was damaged (" + damage + "); try again");
    } catch (const std::exception& e) {
      db_.close();
      return outcome::failure(e.what());
    }
  }

  void count() { depth_ = depth_of(db_); }

  /// With those set aside: they are spooled as well.
  uint64_t count_all() { return depth_.events + depth_.aside_events; }

  // -- batches that come ------------------------------------------------------------------------

  outcome check_room_for(uint64_t bytes) {
    return check_room(settings_, depth_.bytes, bytes, [this] {
      uint64_t out = 0;
      safely([&] {
        db_.run("PRAGMA wal_checkpoint(TRUNCATE)");
        out = free_bytes(db_);
      }).ignore("then only the disk counts");
      return out;
    });
  }

  void put(kept_batch& kept) {
    kept.seq = next_;
    write_row(db_, kept);
    bool is_new = db_.changes() > 0;
    fault_point("spool.put");
    // Also when this batch fails below: what stays of it must not have the number of another.
    next_ = kept.seq + is_new;
    if (!is_new && !number_of(db_, kept.id)) { // somebody else has written here
      next_ = last_number(db_) + 1;
      count();
      throw std::runtime_error("the number of a batch is taken by another");
    }
    if (auto there = watched_.in_place(); !there)
      throw std::runtime_error(there.why());
    if (!is_new)
      return; // it is there already
    in_index([&] { index_.add({kept.seq, kept.events}); });
    ++depth_.batches;
    depth_.events += static_cast<uint64_t>(kept.events);
    depth_.bytes += kept.body.size();
  }

  /// Writes something into the index. The batches themselves are safe: an index that cannot be
  /// written is no reason to refuse them; it is made anew as soon as it can be.
  template <class Work>
  void in_index(Work work) {
    try {
      if (index_behind_)
        rewrite_index();
      else
        work();
    } catch (const std::system_error& e) {
      if (!std::exchange(index_behind_, true))
        log_warn("spool", "cannot write its index", {{"cause", e.what()}});
    }
  }

  void rewrite_index() {
    auto all = missing_;
    statement there{db_, "SELECT seq, events FROM batch"};
    while (there.step())
      all.push_back({there.integer(0), there.integer(1)});
    index_.replace(all, next_ - 1);
    index_behind_ = false;
  }

  /// What nobody was told of is not there, and the index does not miss it either.
  void take_back(const std::string& id) {
    auto number = number_of(db_, id);
    if (!number)
      return;
    sqlite_transaction removal{db_};
    delete_rows(db_, {{.seq = *number}});
    std::vector<int64_t> gone{*number};
    in_index([&] { index_.remove(gone); });
    removal.commit();
    count();
  }

  // -- batches that go --------------------------------------------------------------------------

  /// May be done again, whatever an earlier try has left: what was read stays known.
  outcome delete_front(const std::vector<refused_event>& refused) {
    return safely([&] {
      sqlite_transaction removal{db_};
      auto kept = rows_of_refused(db_, front_, refused, next_);
      auto gone = delete_rows(db_, front_);
      std::vector<int64_t> numbers;
      for (const auto& row : front_)
        numbers.push_back(row.seq);
      // Before COMMIT: what the index does not know of is no loss. For the same reason it hears
      // of what is kept only afterwards.
      in_index([&] { index_.remove(numbers); });
      for (const auto& row : kept)
        write_row(db_, row);
      fault_point("spool.remove");
      removal.commit();
      for (const auto& row : kept)
        in_index([&] { index_.add({row.seq, row.events}); });
      // Without a look at the whole file, where there may be a GiB, if nothing else has changed.
      bool as_known = kept.empty() && gone.size() == front_.size();
      auto left = as_known ? depth_without(depth_, gone) : std::nullopt;
      depth_ = left ? *left : depth_of(db_);
    });
  }

  /// Empty: the files can be small again.
  void start_over() {
    db_.run("PRAGMA incremental_vacuum");
    index_behind_ |= index_.size() > large_index_bytes;
    in_index([] {});
  }

  // -- reading ----------------------------------------------------------------------------------

  commit_batch_ptr read(const std::string& which, size_t most, size_t skip) {
    commit_batch_ptr out;
    bool damaged = true;
    while (!out && damaged) {
      damaged = false;
      auto done = safely([&] { out = read_some(which, most, skip, damaged); });
      if (!done)
        log_error("spool", "cannot read", {{"cause", done.why()}});
    }
    return out;
  }

  /// Null when there is none, or with `damaged` when the first was and is set aside now.
  commit_batch_ptr read_some(const std::string& which, size_t most, size_t skip, bool& damaged) {
    front_.clear();
    auto out = std::make_shared<commit_batch>();
    out->again = true;
    std::optional<std::pair<int64_t, std::string>> broken;
    {
      statement ask{db_, select_kept + which};
      ask.bind(1, static_cast<int64_t>(most)).bind(2, static_cast<int64_t>(skip));
      while (!broken && ask.step()) {
        auto kept = read_row(ask);
        if (!front_.empty()
            && out->events + static_cast<size_t>(kept.events) > defaults::replay_events)
          break;
        out->suspect |= kept.is_deferred();
        if (auto whole = kept.check(); whole)
          take_into(*out, kept);
        else
          broken = {kept.seq, whole.why()};
      }
    }
    if (broken) {
      log_error("spool", "sets a damaged batch aside", {{"cause", broken->second}});
      auto kept = set_aside(static_cast<uint64_t>(broken->first), broken->second, false);
      damaged = static_cast<bool>(kept); // else it is read again later: this must not spin
      if (!damaged)
        log_error("spool", "cannot set it aside", {{"cause", kept.why()}});
    }
    return front_.empty() ? nullptr : out;
  }

  void take_into(commit_batch& batch, const kept_batch& kept) {
    if (front_.empty())
      batch.number = static_cast<uint64_t>(kept.seq);
    front_.push_back({kept.seq, kept.id, static_cast<uint64_t>(kept.events), kept.body.size(),
                      !kept.aside.empty()});
    commit_batch::part part{.requests = 1};
    if (!kept.is_wanted())
      part.taken_us = kept.taken_us;
    std::memcpy(part.id.data(), kept.id.data(), part.id.size());
    batch.parts.push_back(part);
    batch.events += static_cast<size_t>(kept.events);
    ingest_request request{.awaited = false};
    request.hold(unpack_events(kept.body));
    batch.requests.push_back(std::move(request));
  }

  // -- an operator ------------------------------------------------------------------------------

  /// Somebody has seen what is missing.
  void forget() {
    std::vector<int64_t> numbers;
    for (const auto& row : missing_)
      numbers.push_back(row.number);
    missing_.clear();
    in_index([&] { index_.remove(numbers); });
  }

  json requeue() {
    statement again{db_, "UPDATE batch SET aside = NULL, tried_us = ?1 WHERE aside IS NOT NULL"};
    again.bind(1, kept_batch::wanted).execute();
    auto batches = db_.changes();
    count();
    return {{"requeued", batches}, {"batches", depth_.batches}, {"events", depth_.events}};
  }

  spool_settings settings_;
  work_watch_ptr watch_;
  progress_only progress_;
  sqlite_connection db_;
  spool_index index_;
  watched_file watched_;
  int64_t next_ = 1;          ///< number of a batch
  bool index_behind_ = false; ///< it could not be written
  bool out_of_room_ = false;  ///< the last trouble was that the disk is full
  std::vector<indexed_batch> missing_;
  spool_depth depth_;
  std::vector<front_batch> front_; ///< what was read last
  bool opened_ = false;
  uint64_t recovered_ = 0;
};

} // namespace

spool_settings spool_settings_of(const config& settings) {
  return {.file = settings.resolved.spool_path,
          .max_bytes = static_cast<uint64_t>(settings.spool.max_bytes),
          .min_free_bytes = static_cast<uint64_t>(settings.spool.min_free_bytes)};
}

spool_port_ptr make_sqlite_spool(spool_settings settings) {
  return std::make_shared<sqlite_spool>(std::move(settings));
}

} // namespace phi::store
