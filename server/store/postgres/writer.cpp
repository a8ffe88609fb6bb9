#include "server/store/postgres/ports.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"
#include "protocol/fault_point.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/platform/digest.hpp"
#include "server/statistics/slots.hpp"
#include "server/store/database_id.hpp"
#include "server/store/halving.hpp"
#include "server/store/postgres/columns.hpp"
#include "server/store/postgres/connection.hpp"
#include "server/store/postgres/lease.hpp"
#include "server/store/postgres/schema.hpp"
#include "server/store/postgres/statements.hpp"
#include "server/store/trial_events.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>

namespace phi::store {
namespace {

using namespace postgres_sql;

using digest_set = std::unordered_set<digest, digest_hash>;

using classes = std::initializer_list<std::string_view>;

bool is_of_class(const std::exception& e, classes any_of) {
  const auto* said = dynamic_cast<const postgres_error*>(&e);
  auto fits = [&](auto prefix) { return said->state().starts_with(prefix); };
  return said && std::any_of(any_of.begin(), any_of.end(), fits);
}

/// Whether the server speaks of itself: the connection (08), no writes (25), deadlocks (40), no
/// room (53), locks (55), time-outs (57), its disk (58).
bool is_passing(const std::exception& e) {
  return is_of_class(e, {"08", "25", "40", "53", "55", "57", "58"});
}

/// Whether what the server said is about the data of a batch, and the same tomorrow: data
/// exceptions, constraints (but for the batch's own id: it is committed then), limits, checks of
/// somebody's own. Of a `suspect` everything is but what the server says of itself.
bool is_about_data(const std::exception& e, bool suspect) {
  const auto* said = dynamic_cast<const postgres_error*>(&e);
  if (!said || said->state().empty() || said->state() == "23505" || needs_new_session(*said))
    return false;
  return is_of_class(e, {"22", "23", "44", "54", "P0", "42501"}) || (suspect && !is_passing(e));
}

/// A batch of the spool is so old that nobody can tell what is stored of it. Somebody must want it.
class aged_out : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

std::string taken_before(int32_t taken, int32_t kept_from) {
  return "it was taken on " + format_date(taken) + ", and which events are known is kept from "
         + format_date(kept_from)
         + " on: some may count already; phictl spool replay stores it all the same";
}

class postgres_writer : public store_port {
public:
  explicit postgres_writer(postgres_settings settings) : settings_(std::move(settings)) {}

  void watched_by(work_watch_ptr watch) override {
    watch_ = std::move(watch);
    db_.watched_by(watch_.get()); // to wait for a lock or for a standby is no standstill
  }

  outcome open() override {
    try {
      connect(defaults::lease + defaults::heartbeat_interval);
      return {};
    } catch (const std::exception& e) {
      activity_ = "not connected";
      db_.close();
      bool may_be_away = settings_.may_be_away && !dynamic_cast<const postgres_misfit*>(&e)
                         && !dynamic_cast<const postgres_ended*>(&e);
      if (!may_be_away)
        return outcome::failure(e.what());
      log_warn("store", "starts without the database; events go to the spool",
               {{"cause", e.what()}});
      return {};
    }
  }

  commit_result commit(commit_batch& batch) override {
    auto began = std::chrono::steady_clock::now();
    refused_.clear();
    commit_result result{.number = batch.number};
    try {
      try_to_commit(batch, result);
    } catch (const std::exception& e) {
      fail(batch, result, e);
      if (!batch.parts.empty() // else it is a trial, which has no events at all
          && is_about_data(e, batch.suspect) && result.error == error_code::store_unavailable)
        commit_without_culprits(batch, result);
    }
    if (result.error == error_code::none)
      trials_.committed(batch, result);
    activity_ = db_.is_open() ? "idle" : "not connected";
    result.took = std::chrono::steady_clock::now() - began;
    return result;
  }

  outcome close() override {
    db_.close();
    activity_ = "closed";
    return {};
  }

  void apply_settings(const config& settings) override {
    settings_ = postgres_settings_of(settings);
    db_.set_limit(settings_.commit_timeout + defaults::statement_grace);
  }

  std::string database_id() const override { return id_.get(); }
  std::string activity() const override { return activity_.load(); }

private:
  /// `patience`: how long an earlier run of this instance may still have its name.
  void connect(std::chrono::milliseconds patience = {}) {
    activity_ = "connecting, looking at the schema";
    db_.set_limit(settings_.commit_timeout + defaults::statement_grace);
    connect_and_migrate(db_, {.url = settings_.url,
                              .connect_timeout = settings_.connect_timeout,
                              .for_writing = true,
                              .name = "phi-backend " + settings_.instance});
    try {
      claim_name(db_, settings_, patience, settings_.commit_timeout);
      id_.set(postgres_id_of(db_));
    } catch (...) {
      db_.close();
      throw;
    }
    log_info("store", "is connected to the database");
    activity_ = "idle";
  }

  void fail(const commit_batch& batch, commit_result& result, const std::exception& e) {
    result.error = batch.committing() ? error_code::outcome_unknown : error_code::store_unavailable;
    const auto* said = dynamic_cast<const postgres_error*>(&e);
    result.never = dynamic_cast<const aged_out*>(&e) != nullptr;
    result.reached = result.never || (said && !said->state().empty());
    result.passing = is_passing(e);
    result.detail = e.what();
    result.requests.clear();
    result.refused.clear();
    db_.recover(e);
  }

  void try_to_commit(commit_batch& batch, commit_result& result) {
    on_live_session(
      db_, [&] { commit_in_transaction(batch, result); }, [&] { return !batch.committing(); });
  }

  void commit_in_transaction(commit_batch& batch, commit_result& result) {
    if (!db_.is_open())
      connect();
    result.requests.clear();
    result.refused.clear();
    if (batch.parts.empty())
      try_event();
    activity_ = "BEGIN";
    fault_point("store.begin");
    begin(batch);
    take_identities(batch, result);
    activity_ = "INSERT";
    write(batch, result);
    fault_point("store.before_commit");
    if (!batch.begin_commit())
      throw postgres_error{"abandoned", {}};
    activity_ = "COMMIT";
    db_.commit();
    fault_point("store.after_commit");
  }

  /// For a trial, which has no events of its own: throws why one of ours could not be written.
  void try_event() {
    activity_ = "trying an event";
    digest own{};
    std::memcpy(own.data(), &run_of_process::own().number, sizeof(int64_t));
    auto ours = trials_.made(own, database_now_us(db_));
    for (const auto& plain : ours)
      if (&plain == &ours.back())
        write_and_take_back({&plain});
      else if (try_to_write({&plain}, false))
        return;
  }

  /// Nobody waits for it any more.
  static void end_if_abandoned(const commit_batch& batch) {
    if (batch.abandoned())
      throw postgres_error{"abandoned", {}};
  }

  /// Whether an event that nothing is wrong with is taken, or any of these. What somebody has
  /// forbidden by a rule of his own may be forbidden to ours too.
  bool takes_anything(const commit_batch& batch) {
    auto ours = trials_.made(batch.parts.front().id, database_now_us(db_));
    auto some = spread_of(pieces_of(batch), trial_pieces);
    auto takes_ours = [&](const event& plain) {
      end_if_abandoned(batch);
      return try_to_write({&plain}, batch.suspect) && !fresh_.empty();
    };
    auto takes = [&](const batch_piece& piece) {
      end_if_abandoned(batch);
      return try_to_write(events_in(batch, {&piece, 1}), batch.suspect) && !fresh_.empty();
    };
    return std::any_of(ours.begin(), ours.end(), takes_ours)
           || std::any_of(some.begin(), some.end(), takes);
  }

  /// The batch as a whole was refused: finds the events that are at fault, and commits the others.
  /// Whether an event is at fault shows by its failing alone where another does not.
  void commit_without_culprits(commit_batch& batch, commit_result& result) {
    try {
      if (!db_.is_open())
        connect();
      activity_ = "looking for what is refused";
      if (!takes_anything(batch))
        return; // nothing of the data's making
      auto culprits = find_culprits(batch);
      // None: whatever it was has passed, or each is taken alone and together they are not.
      result.error = error_code::none;
      result.detail.clear();
      try_to_commit(batch, result);
      for (const auto& [piece, why] : culprits)
        if (!is_told(result, piece)) // known parts tell what they were refused
          refuse(result, piece, why);
      std::sort(result.refused.begin(), result.refused.end(), [](const auto& a, const auto& b) {
        return std::pair{a.request, a.at} < std::pair{b.request, b.at};
      });
    } catch (const std::exception& e) {
      fail(batch, result, e);
      result.never = is_about_data(e, false);
    }
  }

  using culprit = std::pair<batch_piece, std::string>;

  std::vector<culprit> find_culprits(const commit_batch& batch) {
    std::vector<culprit> out;
    auto take = [&](std::span<const batch_piece> pieces) {
      end_if_abandoned(batch);
      return try_to_write(events_in(batch, pieces), batch.suspect);
    };
    auto refused = [&](const batch_piece& piece, const std::string& why) {
      out.emplace_back(piece, why);
      for (const auto& e : events_of(batch, piece))
        refused_.insert(&e);
    };
    auto pieces = pieces_of(batch);
    take_all_but_culprits(pieces, true, take, refused);
    return out;
  }

  static std::vector<const event*> events_in(const commit_batch& batch,
                                             std::span<const batch_piece> pieces) {
    std::vector<const event*> out;
    for (const auto& piece : pieces)
      for (const auto& e : events_of(batch, piece))
        out.push_back(&e);
    return out;
  }

  /// Writes these events and takes them back. Fails when the server has something against them;
  /// throws when the data are not at fault.
  outcome try_to_write(const std::vector<const event*>& events, bool suspect) {
    try {
      write_and_take_back(events);
      return {};
    } catch (const postgres_error& e) {
      if (!is_about_data(e, suspect))
        throw;
      db_.recover(e);
      return outcome::failure(e.what());
    }
  }

  void write_and_take_back(const std::vector<const event*>& events) {
    begin_limited(db_, settings_.commit_timeout);
    digest_set added;
    postgres_array digests{postgres_array::element::uuid};
    postgres_array days{postgres_array::element::int4};
    for (const auto* e : events)
      if (added.insert(e->identity).second) {
        digests.add(e->identity);
        days.add(statistics::day_of_slot(statistics::slot_of(e->time_us)));
      }
    added = new_identities(digests, days);
    fresh_.clear();
    for (const auto* e : events)
      if (added.erase(e->identity) > 0)
        fresh_.push_back(e);
    if (!fresh_.empty()) { // else all of them are there already
      queue_rows();
      db_.queue(check_now);
      db_.run_queued();
    }
    db_.run("ROLLBACK");
  }

  /// Opens the transaction, and looks which parts of the batch an earlier try has committed.
  void begin(const commit_batch& batch) {
    known_.clear();
    queue_begin(db_, settings_.commit_timeout);
    if (settings_.durability != durability::full)
      db_.queue("SET LOCAL synchronous_commit = off");
    else
      db_.queue_prepared(commit_durably, {});
    if (!batch.again)
      return; // goes with the identities
    postgres_array ids{postgres_array::element::uuid};
    for (const auto& part : batch.parts)
      ids.add(part.id);
    db_.queue(raw_from_day, {}, true);
    db_.queue(batch_outcomes, {ids.take()}, true);
    auto answers = db_.run_queued();
    for (auto& row = answers.back(); row.step();)
      known_[row.uuid(0)] = {static_cast<uint32_t>(row.binary_integer(1)),
                             static_cast<uint32_t>(row.binary_integer(2))};
    if (auto& kept_from = answers.at(answers.size() - 2); kept_from.step())
      refuse_what_aged_out(batch, kept_from.binary_integer(0));
  }

  /// Identities are kept from the same day on as rows.
  void refuse_what_aged_out(const commit_batch& batch, int64_t kept_from) {
    for (const auto& part : batch.parts) {
      auto taken = statistics::day_of_slot(statistics::slot_of(part.taken_us));
      if (part.taken_us != 0 && taken < kept_from && !known_.contains(part.id))
        throw aged_out{taken_before(taken, static_cast<int32_t>(kept_from))};
    }
  }

  /// Finds out which events are new: `fresh_`, and the counts of every request.
  void take_identities(const commit_batch& batch, commit_result& result) {
    fresh_.clear();
    digest_set added;
    added.reserve(batch.events);
    postgres_array digests{postgres_array::element::uuid};
    postgres_array days{postgres_array::element::int4};
    each_part(batch, [&](const commit_batch::part& part, auto requests) {
      if (known_.contains(part.id))
        return;
      for (const auto& request : requests)
        for (const auto& e : request.events)
          if (!refused_.contains(&e) && added.insert(e.identity).second) {
            digests.add(e.identity);
            days.add(statistics::day_of_slot(statistics::slot_of(e.time_us)));
          }
    });
    added = new_identities(digests, days);
    each_part(batch, [&](const commit_batch::part& part, auto requests) {
      if (auto earlier = known_.find(part.id); earlier != known_.end())
        return repeat_counts(batch, part, requests, earlier->second, result);
      for (const auto& request : requests)
        count(request, added, result.requests.emplace_back());
    });
  }

  /// The outcome of an earlier commit, of which the counts of the whole part are known. Which of
  /// its events were refused then is told by what is not there: whoever asks again may not have
  /// heard it.
  void repeat_counts(const commit_batch& batch, const commit_batch::part& part,
                     std::span<const ingest_request> requests, commit_result::counts counts,
                     commit_result& result) {
    uint32_t events = 0;
    for (const auto& request : requests)
      events += static_cast<uint32_t>(request.events.size());
    counts.refused = events - counts.stored - counts.duplicates;
    if (counts.refused > 0) {
      auto absent = absent_of(batch, requests);
      auto refused = static_cast<uint32_t>(absent.size());
      if (refused > counts.refused && part.taken_us != 0)
        throw aged_out{"the database has refused " + std::to_string(counts.refused)
                       + " of its events, and which ones is known no longer; phictl spool replay"
                         " keeps those apart of which nothing is known"};
      // Fewer may be absent: some were sent again meanwhile, and stored.
      result.refused.insert(result.refused.end(), absent.begin(), absent.end());
    }
    for (const auto& request : requests) { // each is told of its own events, and of no others
      const auto place = result.requests.size();
      auto& told = result.requests.emplace_back();
      told.refused = static_cast<uint32_t>(
        std::count_if(result.refused.begin(), result.refused.end(),
                      [&](const refused_event& event) { return event.request == place; }));
      const auto taken = static_cast<uint32_t>(request.events.size()) - told.refused;
      told.stored = std::min(counts.stored, taken);
      told.duplicates = taken - told.stored;
      counts.stored -= told.stored;
    }
  }

  std::vector<refused_event> absent_of(const commit_batch& batch,
                                       std::span<const ingest_request> requests) {
    postgres_array digests{postgres_array::element::uuid};
    for (const auto& request : requests)
      for (const auto& e : request.events)
        digests.add(e.identity);
    db_.queue(present_identities, {digests.take()}, true);
    digest_set present;
    auto answers = db_.run_queued();
    for (auto& row = answers.back(); row.step();)
      present.insert(row.uuid(0));
    std::vector<refused_event> out;
    for (const auto& request : requests)
      for (uint32_t i = 0; i < request.events.size(); ++i)
        if (!present.contains(request.events[i].identity))
          out.push_back({static_cast<uint32_t>(&request - batch.requests.data()), i,
                         error_code::refused_by_store, "refused by the database before"});
    return out;
  }

  digest_set new_identities(postgres_array& digests, postgres_array& days) {
    db_.queue_prepared(add_identities, {digests.take(), days.take()}, true);
    db_.queue_prepared(last_number, {}, true); // when nothing is waited for any more
    digest_set out;
    auto answers = db_.run_queued();
    last_number_ = answers.back().step() ? answers.back().binary_integer(0) : 0;
    for (auto& row = answers.at(answers.size() - 2); row.step();)
      out.insert(row.uuid(0));
    return out;
  }

  void count(const ingest_request& request, digest_set& added, commit_result::counts& counts) {
    for (const auto& e : request.events) {
      if (refused_.contains(&e))
        continue;
      bool is_new = added.erase(e.identity) > 0;
      if (is_new)
        fresh_.push_back(&e);
      ++(is_new ? counts.stored : counts.duplicates);
    }
  }

  /// The rows of `fresh_`, and that they are to be counted; COPY needs a round trip of its own.
  void queue_rows() {
    if (fresh_.size() >= settings_.copy_from) {
      activity_ = "COPY";
      db_.copy_in(copy_events, copy_of(fresh_));
    } else if (!fresh_.empty()) {
      db_.queue_prepared(add_events, columns_of(fresh_));
    }
    if (!fresh_.empty())
      db_.queue_prepared(add_uncounted, bounds_of(fresh_, last_number_));
  }

  /// All of the batch but its identities, in one round trip.
  void write(const commit_batch& batch, const commit_result& result) {
    queue_rows();
    postgres_array known{postgres_array::element::uuid};
    postgres_array ids{postgres_array::element::uuid};
    postgres_array stored{postgres_array::element::int8};
    postgres_array duplicates{postgres_array::element::int8};
    auto counts = result.requests.begin();
    for (const auto& part : batch.parts) {
      commit_result::counts sum;
      for (size_t i = 0; i < part.requests; ++i, ++counts) {
        sum.stored += counts->stored;
        sum.duplicates += counts->duplicates;
      }
      if (known_.contains(part.id)) {
        known.add(part.id);
        continue;
      }
      ids.add(part.id);
      stored.add(int64_t{sum.stored});
      duplicates.add(int64_t{sum.duplicates});
    }
    if (known.size() > 0)
      db_.queue(confirm_batches, {known.take()});
    db_.queue_prepared(add_batches, {ids.take(), stored.take(), duplicates.take(),
                                     postgres_value::text(settings_.instance)});
    db_.queue(check_now);
    db_.run_queued();
  }

  template <class Work>
  static void each_part(const commit_batch& batch, Work work) {
    std::span<const ingest_request> left{batch.requests};
    for (const auto& part : batch.parts) {
      work(part, left.first(part.requests));
      left = left.subspan(part.requests);
    }
  }

  postgres_settings settings_;
  work_watch_ptr watch_;
  postgres_connection db_;
  store::database_id id_;
  int64_t last_number_ = 0; ///< of a row, before those of the present transaction
  trial_events trials_;
  std::vector<const event*> fresh_;
  std::unordered_map<digest, commit_result::counts, digest_hash> known_; ///< parts committed before
  std::unordered_set<const event*> refused_;                             ///< of the present batch
  std::atomic<const char*> activity_{"closed"};
};

} // namespace

store_port_ptr make_postgres_store(postgres_settings settings) {
  return std::make_shared<postgres_writer>(std::move(settings));
}

} // namespace phi::store
