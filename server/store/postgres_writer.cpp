#include "server/store/postgres_store.hpp"

#include "actors/fault_point.hpp"
#include "actors/log.hpp"
#include "config/time_text.hpp"
#include "server/platform/digest.hpp"
#include "server/store/postgres.hpp"
#include "server/store/postgres_columns.hpp"
#include "server/store/postgres_schema.hpp"
#include "server/store/postgres_statements.hpp"
#include "server/store/rollup.hpp"

#include <atomic>
#include <span>
#include <unordered_map>
#include <unordered_set>

namespace phi::store {
namespace {

using namespace postgres_sql;

using digest_set = std::unordered_set<digest, digest_hash>;

/// Class 22 of SQLSTATE is "data exception" (PostgreSQL, appendix A).
bool is_about_data(const std::exception& e) {
  const auto* refused = dynamic_cast<const postgres_error*>(&e);
  return refused && refused->state().starts_with("22");
}

class postgres_writer : public store_port {
public:
  explicit postgres_writer(postgres_settings with) : with_(std::move(with)) {}

  std::string open() override {
    try {
      connect();
      return {};
    } catch (const std::exception& e) {
      activity_ = "not connected";
      db_.close();
      if (!with_.may_be_away)
        return e.what();
      log_warn("store", "starts without the database; events go to the spool",
               {{"cause", e.what()}});
      return {};
    }
  }

  commit_result commit(commit_batch& batch) override {
    auto began = std::chrono::steady_clock::now();
    commit_result result{.number = batch.number};
    try {
      run_transaction(batch, result);
    } catch (const std::exception& e) {
      result.error =
        batch.committing() ? error_code::outcome_unknown : error_code::store_unavailable;
      result.detail = e.what();
      result.never = is_about_data(e);
      result.requests.clear();
      roll_back();
      if (result.error == error_code::store_unavailable)
        batch.reopen();
    }
    sums_.clear();
    activity_ = db_.is_open() ? "idle" : "not connected";
    result.took = std::chrono::steady_clock::now() - began;
    return result;
  }

  std::string close() override {
    db_.close();
    activity_ = "closed";
    return {};
  }

  void adopt(const config& settings) override {
    with_ = postgres_settings_of(settings);
    db_.set_limit(with_.commit_timeout);
  }

  std::string activity() const override { return activity_.load(); }

private:
  void connect() {
    activity_ = "connecting, looking at the schema";
    db_.set_limit(with_.commit_timeout);
    connect_and_migrate(db_,
                        {.url = with_.url,
                         .connect_timeout = with_.connect_timeout,
                         .for_writing = true,
                         .name = "phi-backend " + with_.instance},
                        wall_clock_us());
    log_info("store", "is connected to the database");
    activity_ = "idle";
  }

  void run_transaction(commit_batch& batch, commit_result& result) {
    if (!db_.is_open())
      connect();
    activity_ = "BEGIN";
    fault_point("store.begin");
    begin(batch);
    take_identities(batch, result);
    activity_ = "INSERT";
    write(batch, result);
    fault_point("store.before_commit");
    if (!batch.begin_commit()) {
      roll_back();
      result.error = error_code::store_unavailable;
      result.detail = "abandoned";
      result.requests.clear();
      return;
    }
    activity_ = "COMMIT";
    auto ended = db_.run("COMMIT");
    if (ended.command() != "COMMIT")
      throw postgres_error{"the transaction was rolled back", {}};
    fault_point("store.after_commit");
  }

  /// Opens the transaction, and looks which parts of the batch an earlier try has committed.
  void begin(const commit_batch& batch) {
    known_.clear();
    db_.queue("BEGIN");
    db_.queue("SET LOCAL statement_timeout = " + std::to_string(with_.commit_timeout.count()));
    if (with_.how != durability::full)
      db_.queue("SET LOCAL synchronous_commit = off");
    if (!batch.again)
      return; // goes with the identities
    postgres_array ids{postgres_array::of::uuid};
    for (const auto& part : batch.parts)
      ids.add(part.id);
    db_.queue(batch_outcomes, {ids.take()}, true);
    auto answers = db_.run_queued();
    for (auto& row = answers.back(); row.step();)
      known_[row.uuid(0)] = {static_cast<uint32_t>(row.binary_integer(1)),
                             static_cast<uint32_t>(row.binary_integer(2))};
  }

  /// Finds out which events are new: `fresh_`, and the counts of every request.
  void take_identities(const commit_batch& batch, commit_result& result) {
    fresh_.clear();
    digest_set added;
    added.reserve(batch.events);
    postgres_array digests{postgres_array::of::uuid};
    postgres_array days{postgres_array::of::int4};
    each_part(batch, [&](const commit_batch::part& part, auto requests) {
      if (known_.contains(part.id))
        return;
      for (const auto& request : requests)
        for (const auto& e : request.events)
          if (added.insert(e.identity).second) {
            digests.add(e.identity);
            days.add(day_of_slot(slot_of(e.time_us)));
          }
    });
    db_.queue_prepared(add_identities, {digests.take(), days.take()}, true);
    auto answers = db_.run_queued();
    added.clear();
    for (auto& row = answers.back(); row.step();)
      added.insert(row.uuid(0));
    each_part(batch, [&](const commit_batch::part& part, auto requests) {
      auto earlier = known_.find(part.id);
      for (const auto& request : requests) {
        auto& counts = result.requests.emplace_back();
        if (earlier != known_.end())
          counts = std::exchange(earlier->second, {}); // all of the part's, with its first request
        else
          count(request, added, counts);
      }
    });
  }

  void count(const ingest_request& request, digest_set& added, commit_result::counts& counts) {
    for (const auto& e : request.events) {
      bool is_new = added.erase(e.identity) > 0;
      if (is_new)
        fresh_.push_back(&e);
      ++(is_new ? counts.stored : counts.duplicates);
    }
  }

  /// All that the new events mean, in one round trip; COPY needs one of its own.
  void write(const commit_batch& batch, const commit_result& result) {
    if (fresh_.size() >= with_.copy_from) {
      activity_ = "COPY";
      db_.copy_in(copy_events, copy_of(fresh_));
    } else if (!fresh_.empty()) {
      db_.queue_prepared(add_events, columns_of(fresh_));
    }
    activity_ = "roll-ups";
    for (const auto* e : fresh_)
      sums_.add(*e);
    queue_rollups(db_, sums_, with_.instance);
    postgres_array ids{postgres_array::of::uuid};
    postgres_array stored{postgres_array::of::int8};
    postgres_array duplicates{postgres_array::of::int8};
    auto counts = result.requests.begin();
    for (const auto& part : batch.parts) {
      commit_result::counts sum;
      for (size_t i = 0; i < part.requests; ++i, ++counts) {
        sum.stored += counts->stored;
        sum.duplicates += counts->duplicates;
      }
      if (known_.contains(part.id))
        continue;
      ids.add(part.id);
      stored.add(int64_t{sum.stored});
      duplicates.add(int64_t{sum.duplicates});
    }
    db_.queue_prepared(add_batches, {ids.take(), stored.take(), duplicates.take(),
                                     postgres_value::text(with_.instance)});
    db_.run_queued();
  }

  template <class What>
  static void each_part(const commit_batch& batch, What what) {
    std::span<const ingest_request> left{batch.requests};
    for (const auto& part : batch.parts) {
      what(part, left.first(part.requests));
      left = left.subspan(part.requests);
    }
  }

  void roll_back() noexcept {
    try {
      if (db_.in_transaction())
        db_.run("ROLLBACK");
    } catch (const std::exception&) {
      db_.close();
    }
  }

  postgres_settings with_;
  postgres db_;
  rollup sums_;
  std::vector<const event*> fresh_;
  std::unordered_map<digest, commit_result::counts, digest_hash> known_; ///< parts committed before
  std::atomic<const char*> activity_{"closed"};
};

} // namespace

postgres_settings postgres_settings_of(const config& settings) {
  using std::chrono::milliseconds;
  return {.url = settings.stats.postgres_url.value,
          .instance = settings.resolved.instance,
          .how = settings.resolved.how,
          .may_be_away = settings.spool.enabled,
          .connect_timeout = std::chrono::seconds{settings.stats.postgres_connect_timeout_secs},
          .commit_timeout = milliseconds{settings.stats.busy_timeout_ms},
          .query_timeout = milliseconds{settings.stats.query_timeout_ms},
          .keep_days = settings.stats.retention_hot_days,
          .start_at_us = settings.resolved.start_at_us};
}

store_port_ptr make_postgres_store(postgres_settings with) {
  return std::make_shared<postgres_writer>(std::move(with));
}

std::vector<std::string> migrate_postgres(const postgres_settings& with, bool carry_out) {
  postgres db;
  db.set_limit(std::chrono::minutes{10});
  db.connect({.url = with.url,
              .connect_timeout = with.connect_timeout,
              .for_writing = true,
              .name = "phi-backend --migrate"});
  auto plan = migration_plan(db);
  if (carry_out)
    migrate(db, wall_clock_us());
  return plan;
}

} // namespace phi::store
