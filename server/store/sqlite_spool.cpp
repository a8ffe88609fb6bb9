#include "server/store/sqlite_spool.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"
#include "config/time_text.hpp"
#include "server/platform/digest.hpp"
#include "server/store/packed_events.hpp"
#include "server/store/spooled_rows.hpp"
#include "server/store/sqlite.hpp"

#include <nlohmann/json.hpp>

#include <cstring>
#include <filesystem>
#include <optional>
#include <sqlite3.h>

namespace phi::store {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

constexpr int spool_application_id = 0x50685370; // "PhSp"

constexpr auto schema = R"(
CREATE TABLE batch (
  seq      INTEGER PRIMARY KEY AUTOINCREMENT,
  id       BLOB NOT NULL UNIQUE,
  taken_us INTEGER NOT NULL,
  events   INTEGER NOT NULL,
  body     BLOB NOT NULL,
  checksum TEXT NOT NULL,
  aside    TEXT
) STRICT;
)";

/// Taking batches out needs room as well: on a disk that is full to the last byte the spool could
/// never get empty.
constexpr uint64_t take_out_bytes = 1'048'576;

constexpr auto totals = "SELECT count(*) FILTER (WHERE aside IS NULL),"
                        " coalesce(sum(events) FILTER (WHERE aside IS NULL), 0),"
                        " coalesce(sum(length(body)), 0), count(aside), coalesce(sum(events), 0),"
                        " min(taken_us) FILTER (WHERE aside IS NULL),"
                        " coalesce(sum(events) FILTER (WHERE aside IS NOT NULL), 0) FROM batch";

struct front_batch {
  int64_t seq = 0;
  uint64_t events = 0;
  uint64_t bytes = 0;
};

class undo_unless_committed {
public:
  explicit undo_unless_committed(database& db) : db_(db) {}
  ~undo_unless_committed() {
    try {
      if (!db_.autocommit())
        db_.run("ROLLBACK");
    } catch (const sqlite_error&) {
      db_.close(); // the next use says so
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
      if (auto damage = try_to_open(); !damage.empty())
        replace_damaged(damage);
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

  std::string append(const commit_batch& batch) override {
    auto body = pack_events(batch);
    if (depth_.bytes + body.size() > with_.max_bytes)
      return "the spool holds " + std::to_string(depth_.bytes)
             + " bytes, and spool.max_bytes allows " + std::to_string(with_.max_bytes);
    std::error_code unknown;
    auto disk = fs::space(fs::path{with_.file}.parent_path(), unknown);
    if (!unknown && disk.available < with_.min_free_bytes + take_out_bytes + body.size())
      return "the disk has " + std::to_string(disk.available)
             + " bytes left, and spool.min_free_bytes keeps "
             + std::to_string(with_.min_free_bytes);
    return safely([&] {
      const auto& id = batch.parts.front().id;
      kept_batch kept{.id = {reinterpret_cast<const char*>(id.data()), id.size()},
                      .taken_us = wall_clock_us(),
                      .events = static_cast<int64_t>(batch.events),
                      .body = std::move(body)};
      kept.checksum = hex_digest(kept.body);
      write_row(db_, kept);
      if (db_.changes() == 0)
        return; // it is there already
      ++depth_.batches;
      depth_.events += batch.events;
      depth_.bytes += kept.body.size();
    });
  }

  commit_batch_ptr front(size_t most) override {
    commit_batch_ptr out;
    bool damaged = true;
    while (!out && damaged && depth_.batches > 0) {
      damaged = false;
      auto trouble = safely([&] { out = read_front(most, damaged); });
      if (!trouble.empty())
        log_error("spool", "cannot read", {{"cause", trouble}});
    }
    return out;
  }

  std::string remove_front(const std::vector<refused_event>& refused) override {
    auto trouble = delete_front(refused);
    if (!trouble.empty()) { // others have filled the disk: the log may give some of it back
      safely([&] { db_.run("PRAGMA wal_checkpoint(TRUNCATE)"); });
      trouble = delete_front(refused);
    }
    return trouble;
  }

  void set_front_aside(const std::string& why) override {
    for (const auto& one : std::exchange(front_, {}))
      put_aside(one.seq, why);
  }

  query_answer answer(const query& what) override {
    json body;
    auto trouble = safely([&] {
      switch (what.kind) {
        case query_kind::spool_show: body = show(); break;
        case query_kind::spool_check: body = check(); break;
        case query_kind::spool_requeue: body = requeue(); break;
        default: throw std::logic_error("this question is not known");
      }
    });
    if (!trouble.empty())
      return {error_code::store_unavailable, trouble, {}};
    return {.body = body.dump()};
  }

  spool_depth depth() const override { return depth_; }

  void adopt(const config& settings) override { with_ = spool_settings_of(settings); }

  std::string close() override {
    if (!db_.is_open())
      return {};
    auto trouble = safely([&] { db_.run("PRAGMA wal_checkpoint(TRUNCATE)"); });
    db_.close();
    return trouble;
  }

private:
  /// Empty, or why the file cannot be used as it is.
  std::string try_to_open() {
    auto folder = fs::path{with_.file}.parent_path();
    if (!folder.empty())
      fs::create_directories(folder);
    try {
      db_.open(with_.file, database::access::read_write);
      statement sound{db_, "PRAGMA quick_check(1)"};
      if (!sound.step() || sound.text(0) != "ok")
        return sound.text(0);
      statement whose{db_, "PRAGMA application_id"};
      whose.step();
      auto id = whose.integer(0);
      statement tables{db_, "SELECT count(*) FROM sqlite_schema"};
      tables.step();
      if (id != spool_application_id && tables.integer(0) > 0)
        return "it is no spool of phi-backend";
      bool is_new = tables.integer(0) == 0;
      sound.reset(), whose.reset(), tables.reset();
      prepare(is_new);
      count();
      return {};
    } catch (const sqlite_error& e) {
      auto code = e.code() & 0xff;
      if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        return e.what();
      throw;
    }
  }

  void prepare(bool is_new) {
    if (is_new)
      db_.run("PRAGMA auto_vacuum = INCREMENTAL");
    db_.run("PRAGMA journal_mode = WAL");
    db_.run("PRAGMA synchronous = FULL");
    db_.run("PRAGMA journal_size_limit = 16777216");
    if (!is_new)
      return;
    db_.run("BEGIN");
    db_.run(schema);
    db_.run("PRAGMA application_id = " + std::to_string(spool_application_id));
    db_.run("COMMIT");
  }

  /// Sets the file aside, never deletes it, and takes over what can be read of it.
  void replace_damaged(const std::string& damage) {
    db_.close();
    auto stamp = format_rfc3339(wall_clock_us());
    std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
    auto aside = with_.file + ".damaged-" + stamp;
    for (const char* suffix : {"", "-wal", "-shm"})
      if (fs::exists(with_.file + suffix))
        fs::rename(with_.file + suffix, aside + suffix);
    auto saved = salvage(aside);
    if (auto again = try_to_open(); !again.empty())
      throw std::runtime_error(again);
    db_.run("BEGIN");
    for (const auto& [seq, kept] : saved)
      write_row(db_, kept);
    db_.run("COMMIT");
    count();
    log_error("spool", "was damaged; what could be read is taken over",
              {{"cause", damage},
               {"set_aside", aside},
               {"batches", depth_.batches},
               {"events", depth_.events}});
  }

  /// Runs it; a file that turns out to be damaged meanwhile is replaced. Empty, or what is wrong.
  template <class What>
  std::string safely(What what) {
    try {
      if (!db_.is_open())
        if (auto damage = try_to_open(); !damage.empty())
          replace_damaged(damage);
      what();
      return {};
    } catch (const sqlite_error& e) {
      auto code = e.code() & 0xff;
      if (code != SQLITE_CORRUPT && code != SQLITE_NOTADB)
        return e.what();
      return replace_damaged_safely(e.what());
    } catch (const std::exception& e) {
      return e.what();
    }
  }

  std::string replace_damaged_safely(const std::string& damage) {
    try {
      replace_damaged(damage);
      return "the spool was damaged (" + damage + "); try again";
    } catch (const std::exception& e) {
      db_.close();
      return e.what();
    }
  }

  void count() {
    statement ask{db_, totals};
    ask.step();
    depth_ = {static_cast<uint64_t>(ask.integer(0)), static_cast<uint64_t>(ask.integer(1)),
              static_cast<uint64_t>(ask.integer(2)), static_cast<uint64_t>(ask.integer(3)),
              static_cast<uint64_t>(ask.integer(6))};
  }

  /// With those set aside: they are spooled as well.
  uint64_t count_all() {
    statement ask{db_, totals};
    ask.step();
    return static_cast<uint64_t>(ask.integer(4));
  }

  std::string delete_front(const std::vector<refused_event>& refused) {
    return safely([&] {
      db_.run("BEGIN IMMEDIATE");
      undo_unless_committed guard{db_};
      for (auto one = refused.begin(); one != refused.end();)
        one = keep_refused(one, refused.end());
      statement gone{db_, "DELETE FROM batch WHERE seq = ?1"};
      for (const auto& one : front_)
        gone.bind(1, one.seq).execute();
      db_.run("COMMIT");
      forget_front();
      if (!refused.empty())
        count();
      if (depth_.batches == 0)
        db_.run("PRAGMA incremental_vacuum");
    });
  }

  using refused_iterator = std::vector<refused_event>::const_iterator;

  /// Those of one batch, under its id's digest: a batch of their own that is set aside. Returns the
  /// first of the next batch.
  refused_iterator keep_refused(refused_iterator first, refused_iterator end) {
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
    kept_batch row{.taken_us = whole.taken_us,
                   .events = static_cast<int64_t>(kept.size()),
                   .body = pack_events(rest),
                   .aside = first->detail};
    row.checksum = hex_digest(row.body);
    auto id = identity_digest{}.of("refused", whole.id);
    row.id.assign(reinterpret_cast<const char*>(id.data()), id.size());
    write_row(db_, row);
    return next;
  }

  void forget_front() {
    for (const auto& one : std::exchange(front_, {})) {
      --depth_.batches;
      depth_.events -= one.events;
      depth_.bytes -= one.bytes;
    }
  }

  /// Null when there is none, or with `damaged` when the oldest was and is set aside now.
  commit_batch_ptr read_front(size_t most, bool& damaged) {
    front_.clear();
    auto out = std::make_shared<commit_batch>();
    out->again = true;
    std::optional<std::pair<int64_t, std::string>> broken;
    {
      statement ask{db_, select_kept + "WHERE aside IS NULL ORDER BY seq LIMIT ?1"};
      ask.bind(1, static_cast<int64_t>(most));
      while (!broken && ask.step()) {
        if (!front_.empty()
            && out->events + static_cast<size_t>(ask.integer(3)) > defaults::replay_events)
          break;
        auto kept = read_row(ask);
        if (auto damage = kept.damage(); damage.empty() && kept.id.size() == sizeof(digest))
          take_into(*out, kept);
        else
          broken = {kept.seq, damage.empty() ? "its id is wrong" : damage};
      }
    }
    if (broken) {
      log_error("spool", "sets a damaged batch aside", {{"cause", broken->second}});
      put_aside(broken->first, broken->second);
      damaged = true;
    }
    return front_.empty() ? nullptr : out;
  }

  void take_into(commit_batch& batch, const kept_batch& kept) {
    if (front_.empty())
      batch.number = static_cast<uint64_t>(kept.seq);
    front_.push_back({kept.seq, static_cast<uint64_t>(kept.events), kept.body.size()});
    commit_batch::part part{.requests = 1};
    std::memcpy(part.id.data(), kept.id.data(), part.id.size());
    batch.parts.push_back(part);
    batch.events += static_cast<size_t>(kept.events);
    ingest_request request{.awaited = false};
    request.hold(unpack_events(kept.body));
    batch.requests.push_back(std::move(request));
  }

  void put_aside(int64_t seq, const std::string& why) {
    safely([&] {
      statement put{db_, "UPDATE batch SET aside = ?2 WHERE seq = ?1"};
      put.bind(1, seq).bind(2, std::string_view{why}).execute();
      count();
    });
  }

  json show() {
    statement ask{db_, totals};
    ask.step();
    json aside = json::array();
    statement list{db_, "SELECT seq, taken_us, events, aside FROM batch WHERE aside IS NOT NULL"
                        " ORDER BY seq LIMIT 100"};
    while (list.step())
      aside.push_back({{"batch", list.integer(0)},
                       {"takenAt", format_rfc3339(list.integer(1))},
                       {"events", list.integer(2)},
                       {"why", list.text(3)}});
    return {{"file", with_.file},
            {"batches", ask.integer(0)},
            {"events", ask.integer(1)},
            {"bytes", ask.integer(2)},
            {"maxBytes", with_.max_bytes},
            {"oldestAt", ask.null(5) ? json{} : json(format_rfc3339(ask.integer(5)))},
            {"setAside", std::move(aside)}};
  }

  json check() {
    json damaged = json::array();
    int64_t batches = 0;
    int64_t events = 0;
    statement all{db_, select_kept + "ORDER BY seq"};
    while (all.step()) {
      auto kept = read_row(all);
      ++batches;
      events += kept.events;
      if (auto damage = kept.damage(); !damage.empty())
        damaged.push_back({{"batch", kept.seq}, {"events", kept.events}, {"why", damage}});
    }
    return {{"file", with_.file},
            {"batches", batches},
            {"events", events},
            {"ok", damaged.empty()},
            {"damaged", std::move(damaged)}};
  }

  json requeue() {
    statement again{db_, "UPDATE batch SET aside = NULL WHERE aside IS NOT NULL"};
    again.execute();
    auto batches = db_.changes();
    count();
    return {{"requeued", batches}, {"batches", depth_.batches}, {"events", depth_.events}};
  }

  spool_settings with_;
  database db_;
  spool_depth depth_;
  std::vector<front_batch> front_; ///< what `front` gave
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
