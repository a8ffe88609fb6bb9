#include "server/store/sqlite_spool.hpp"

#include "actors/log.hpp"
#include "actors/questions.hpp"
#include "config/defaults.hpp"
#include "config/time_text.hpp"
#include "protocol/fault_point.hpp"
#include "server/platform/digest.hpp"
#include "server/store/packed_events.hpp"
#include "server/store/spool_index.hpp"
#include "server/store/spool_questions.hpp"
#include "server/store/spooled_rows.hpp"
#include "server/store/sqlite.hpp"
#include "server/store/watched_file.hpp"

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

/// Taking batches out needs room as well: on a disk that is full to the last byte the spool could
/// never get empty.
constexpr uint64_t take_out_bytes = 1'048'576;

/// An index of this size is written anew when the spool is empty.
constexpr uint64_t large_index_bytes = 65'536;

struct front_batch {
  int64_t seq = 0;
  uint64_t events = 0;
  uint64_t bytes = 0;
  bool aside = false;
};

class undo_unless_committed {
public:
  explicit undo_unless_committed(database& db) : db_(db) {}
  ~undo_unless_committed() {
    try {
      if (db_.is_open() && !db_.autocommit())
        db_.run("ROLLBACK");
    } catch (const sqlite_error&) {
      db_.close(); // the next use opens it
    }
  }

private:
  database& db_;
};

class sqlite_spool : public spool_port {
public:
  explicit sqlite_spool(spool_settings with) : with_(std::move(with)) {}

  std::string open() override {
    try {
      open_all();
      recovered_ = std::exchange(opened_, true) ? 0 : count_all();
      if (depth_.batches > 0)
        log_info("spool", "finds events that wait for the database",
                 {{"events", depth_.events}, {"batches", depth_.batches}});
      return {};
    } catch (const std::exception& e) {
      db_.close();
      return with_.file + ": " + e.what();
    }
  }

  uint64_t recovered() override { return std::exchange(recovered_, 0); }

  spool_result append(const commit_batch& batch) override {
    auto full = [&](std::string why) {
      return spool_result{batch.number, error_code::spool_full, std::move(why)};
    };
    auto body = pack_events(batch);
    if (depth_.bytes + body.size() > with_.max_bytes)
      return full("the spool holds " + std::to_string(depth_.bytes)
                  + " bytes, and spool.max_bytes allows " + std::to_string(with_.max_bytes));
    std::error_code unknown;
    auto disk = fs::space(fs::path{with_.file}.parent_path(), unknown);
    if (!unknown && disk.available < with_.min_free_bytes + take_out_bytes + body.size())
      return full("the disk has " + std::to_string(disk.available)
                  + " bytes left, and spool.min_free_bytes keeps "
                  + std::to_string(with_.min_free_bytes));
    const auto& id = batch.parts.front().id;
    kept_batch kept{.id = {reinterpret_cast<const char*>(id.data()), id.size()},
                    .taken_us = wall_clock_us(),
                    .events = static_cast<int64_t>(batch.events),
                    .body = std::move(body)};
    kept.checksum = hex_digest(kept.body);
    auto trouble = safely([&] { put(kept); });
    if (trouble.empty())
      return {batch.number};
    // Its COMMIT may have failed behind the point of no return: see that it is not there.
    auto undo = safely([&] { take_back(kept.id); });
    return undo.empty() ? full(trouble)
                        : spool_result{batch.number, error_code::outcome_unknown, trouble};
  }

  commit_batch_ptr front(size_t most, size_t skip) override {
    return read("WHERE aside IS NULL ORDER BY seq LIMIT ?1 OFFSET ?2", most, skip);
  }

  commit_batch_ptr deferred() override {
    return read("WHERE tried_us <> 0 ORDER BY tried_us, seq LIMIT ?1 OFFSET ?2", 1, 0);
  }

  std::string remove_front(const std::vector<refused_event>& refused) override {
    auto trouble = delete_front(refused);
    if (!trouble.empty()) { // others have filled the disk: the log may give some of it back
      safely([&] { db_.run("PRAGMA wal_checkpoint(TRUNCATE)"); });
      trouble = delete_front(refused);
    }
    return trouble;
  }

  void set_aside(uint64_t number, const std::string& why, bool try_again) override {
    safely([&] {
      statement put{db_, "UPDATE batch SET aside = ?2, tried_us = ?3 WHERE seq = ?1"};
      put.bind(1, static_cast<int64_t>(number)).bind(2, std::string_view{why});
      put.bind(3, try_again ? wall_clock_us() : 0).execute();
      count();
    });
  }

  void watched_by(work_watch_ptr watch) override { watch_ = std::move(watch); }

  query_answer answer(const query& what) override {
    json body;
    if (what.kind == query_kind::spool_check) // of a large spool takes long
      db_.watched_by(watch_.get());
    auto trouble = safely([&] {
      switch (what.kind) {
        case query_kind::spool_show: body = show_spool(db_); break;
        case query_kind::spool_check: body = check_spool(db_, missing_); break;
        case query_kind::spool_requeue: body = requeue(); break;
        default: throw std::logic_error("this question is not known");
      }
      db_.watched_by(nullptr);
      if (what.kind == query_kind::spool_check && what.text == forget_missing) {
        forget();
        body["ok"] = body["damaged"].empty(); // as it is from now on, what was missing being told
      }
      body["file"] = with_.file;
      body["maxBytes"] = with_.max_bytes;
      body.emplace("missingEvents", events_of(missing_));
    });
    auto ended = db_.ended();
    db_.watched_by(nullptr);
    if (ended != end_cause::none)
      return ended_answer(ended);
    if (!trouble.empty())
      return {error_code::store_unavailable, trouble, {}};
    return {.body = body.dump()};
  }

  spool_depth depth() const override { return depth_; }

  std::string degraded() const override {
    if (auto moved = watched_.trouble(); !moved.empty())
      return moved;
    if (!missing_.empty())
      return std::to_string(events_of(missing_)) + " events are missing from the spool; see"
             + " phictl spool fsck";
    if (depth_.aside_events > 0)
      return std::to_string(depth_.aside_events) + " events are set aside in the spool; see"
             + " phictl spool show";
    return {};
  }

  void adopt(const config& settings) override { with_ = spool_settings_of(settings); }

  std::string close() override {
    if (!db_.is_open())
      return {};
    auto trouble = watched_.trouble();
    auto written = safely([&] { db_.run("PRAGMA wal_checkpoint(TRUNCATE)"); });
    db_.close();
    return trouble.empty() ? written : trouble;
  }

private:
  std::string index_file() const { return with_.file + ".index"; }

  void open_all() {
    auto repaired = finish_repair(with_.file);
    auto held = index_.open(index_file());
    auto damage = open_spool(db_, with_.file);
    if (!damage.empty())
      repaired = repair(damage);
    else if (repaired)
      log_error("spool", "ends a repair that was cut short", {{"kept_as", *repaired}});
    watched_ = watched_file{with_.file};
    compare(held);
    count();
  }

  std::string repair(const std::string& damage) {
    db_.close();
    auto kept_as = repair_spool(with_.file);
    if (auto again = open_spool(db_, with_.file); !again.empty())
      throw std::runtime_error(again);
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
                 {"mend", "phictl spool fsck says more"}});
    if (index_.damaged_lines() > 0)
      log_warn("spool", "finds damaged lines in its index", {{"lines", index_.damaged_lines()}});
    auto last = std::max(index_.last(), there.empty() ? 0 : there.back().number);
    next_ = last + 1;
    // With batches that came or went right before a crash, of which nobody has been told.
    std::vector<indexed_batch> all;
    std::set_union(held.begin(), held.end(), there.begin(), there.end(), std::back_inserter(all));
    index_behind_ = index_.is_new() || all != held || index_.damaged_lines() > 0;
    in_index([] {});
  }

  /// Runs it; a file that turns out to be damaged is repaired. Empty, or what is wrong.
  template <class What>
  std::string safely(What what) {
    try {
      if (!db_.is_open())
        open_all();
      what();
      return {};
    } catch (const sqlite_error& e) {
      if (is_damage(e))
        return repair_safely(e.what());
      // After an error of the disk a connection is not to be trusted (SQLite, "How To Corrupt").
      if ((e.code() & 0xff) == SQLITE_IOERR)
        db_.close();
      return e.what();
    } catch (const std::exception& e) {
      return e.what();
    }
  }

  std::string repair_safely(const std::string& damage) {
    try {
      db_.close();
      repair(damage);
      db_.close(); // the next use compares
      return "the spool was damaged (" + damage + "); try again";
    } catch (const std::exception& e) {
      db_.close();
      return e.what();
    }
  }

  void count() { depth_ = depth_of(db_); }

  /// With those set aside: they are spooled as well.
  uint64_t count_all() { return depth_.events + depth_.aside_events; }

  // -- batches that come ------------------------------------------------------------------------

  void put(kept_batch& kept) {
    kept.seq = next_;
    write_row(db_, kept);
    bool is_new = db_.changes() > 0;
    fault_point("spool.put");
    if (auto moved = watched_.trouble(); !moved.empty())
      throw std::runtime_error(moved);
    if (!is_new)
      return; // it is there already
    next_ = kept.seq + 1;
    in_index([&] { index_.add({kept.seq, kept.events}); });
    ++depth_.batches;
    depth_.events += static_cast<uint64_t>(kept.events);
    depth_.bytes += kept.body.size();
  }

  /// Writes something into the index. The batches themselves are safe: an index that cannot be
  /// written is no reason to refuse them; it is made anew as soon as it can be.
  template <class What>
  void in_index(What what) {
    try {
      if (index_behind_)
        rewrite_index();
      else
        what();
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

  void take_back(const std::string& id) {
    statement there{db_, "SELECT 1 FROM batch WHERE id = ?1"};
    if (!there.bind_blob(1, id.data(), id.size()).step())
      return;
    there.reset();
    statement gone{db_, "DELETE FROM batch WHERE id = ?1"};
    gone.bind_blob(1, id.data(), id.size()).execute();
    count();
  }

  // -- batches that go --------------------------------------------------------------------------

  std::string delete_front(const std::vector<refused_event>& refused) {
    return safely([&] {
      std::vector<int64_t> numbers;
      for (const auto& one : front_)
        numbers.push_back(one.seq);
      db_.run("BEGIN IMMEDIATE");
      undo_unless_committed guard{db_};
      std::vector<indexed_batch> kept;
      for (auto one = refused.begin(); one != refused.end();)
        one = keep_refused(one, refused.end(), kept);
      statement gone{db_, "DELETE FROM batch WHERE seq = ?1"};
      for (auto number : numbers)
        gone.bind(1, number).execute();
      if (!index_behind_) // before COMMIT: what the index does not know of is no loss
        in_index([&] { index_.remove(numbers); });
      fault_point("spool.remove");
      db_.run("COMMIT");
      forget_front();
      for (const auto& one : kept)
        in_index([&] { index_.add(one); });
      if (!kept.empty())
        count();
      if (depth_.batches + depth_.set_aside == 0)
        start_over();
    });
  }

  /// Without a look at the whole file, where there may be a GiB, unless somebody may have put what
  /// was set aside back meanwhile.
  void forget_front() {
    auto gone = std::exchange(front_, {});
    if (std::any_of(gone.begin(), gone.end(), [](const auto& one) { return one.aside; }))
      return count();
    for (const auto& one : gone) {
      --depth_.batches;
      depth_.events -= one.events;
      depth_.bytes -= one.bytes;
    }
  }

  /// Empty: the files can be small again.
  void start_over() {
    db_.run("PRAGMA incremental_vacuum");
    index_behind_ |= index_.size() > large_index_bytes;
    in_index([] {});
  }

  using refused_iterator = std::vector<refused_event>::const_iterator;

  /// Those of one batch: a batch of their own that is set aside. Returns the first of the next one.
  refused_iterator keep_refused(refused_iterator first, refused_iterator end,
                                std::vector<indexed_batch>& out) {
    statement ask{db_, select_kept + "WHERE seq = ?1"};
    ask.bind(1, front_.at(first->request).seq);
    if (!ask.step())
      throw std::runtime_error("a batch has left the spool meanwhile");
    auto whole = read_row(ask);
    auto events = unpack_events(whole.body);
    commit_batch rest;
    auto& kept = rest.requests.emplace_back().events;
    auto next = first;
    for (; next != end && next->request == first->request; ++next)
      kept.push_back(std::move(events.at(next->at)));
    kept_batch row{.seq = next_++,
                   .taken_us = whole.taken_us,
                   .events = static_cast<int64_t>(kept.size()),
                   .body = pack_events(rest),
                   .aside = first->detail};
    row.checksum = hex_digest(row.body);
    auto id = identity_digest{}.of("refused", whole.id);
    row.id.assign(reinterpret_cast<const char*>(id.data()), id.size());
    write_row(db_, row);
    out.push_back({row.seq, row.events});
    return next;
  }

  // -- reading ----------------------------------------------------------------------------------

  commit_batch_ptr read(const std::string& which, size_t most, size_t skip) {
    commit_batch_ptr out;
    bool damaged = true;
    while (!out && damaged) {
      damaged = false;
      auto trouble = safely([&] { out = read_some(which, most, skip, damaged); });
      if (!trouble.empty())
        log_error("spool", "cannot read", {{"cause", trouble}});
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
        if (!front_.empty()
            && out->events + static_cast<size_t>(ask.integer(3)) > defaults::replay_events)
          break;
        auto kept = read_row(ask);
        out->suspect |= kept.tried_us != 0;
        if (auto damage = kept.damage(); damage.empty())
          take_into(*out, kept);
        else
          broken = {kept.seq, damage};
      }
    }
    if (broken) {
      log_error("spool", "sets a damaged batch aside", {{"cause", broken->second}});
      set_aside(static_cast<uint64_t>(broken->first), broken->second, false);
      damaged = true;
    }
    return front_.empty() ? nullptr : out;
  }

  void take_into(commit_batch& batch, const kept_batch& kept) {
    if (front_.empty())
      batch.number = static_cast<uint64_t>(kept.seq);
    front_.push_back(
      {kept.seq, static_cast<uint64_t>(kept.events), kept.body.size(), !kept.aside.empty()});
    commit_batch::part part{.requests = 1};
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
    for (const auto& one : missing_)
      numbers.push_back(one.number);
    missing_.clear();
    in_index([&] { index_.remove(numbers); });
  }

  json requeue() {
    statement again{db_, "UPDATE batch SET aside = NULL, tried_us = 0 WHERE aside IS NOT NULL"};
    again.execute();
    auto batches = db_.changes();
    count();
    return {{"requeued", batches}, {"batches", depth_.batches}, {"events", depth_.events}};
  }

  spool_settings with_;
  work_watch_ptr watch_;
  database db_;
  spool_index index_;
  watched_file watched_;
  int64_t next_ = 1;          ///< number of a batch
  bool index_behind_ = false; ///< it could not be written
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

spool_port_ptr make_sqlite_spool(spool_settings with) {
  return std::make_shared<sqlite_spool>(std::move(with));
}

} // namespace phi::store
