#include "server/store/postgres/ports.hpp"

#include "config/defaults.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/store/postgres/connection.hpp"
#include "server/store/postgres/lease.hpp"
#include "server/store/postgres/schema.hpp"
#include "server/store/postgres/statements.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <optional>

namespace phi::store {
namespace {

using namespace postgres_sql;
using json = nlohmann::ordered_json;
using value = postgres_value;

/// Earlier versions of phictl call it "turn".
query_answer slot_answer(bool has_it, const std::string& instance = {}) {
  json out{{"restartSlot", has_it}, {"turn", has_it}};
  if (!instance.empty())
    out["instance"] = instance;
  return {.body = out.dump()};
}

/// Lets what is under way when a stop comes be done, if it does not take long: an instance that is
/// cut off in a sign of life could not say that it leaves.
class brief_patience : public work_watch {
public:
  void over(work_watch_ptr watch) { watch_ = std::move(watch); }
  void begin() { ended_at_.reset(); }
  end_cause check() noexcept override {
    auto cause = watch_ ? watch_->check() : end_cause::none;
    if (cause == end_cause::none)
      return cause;
    auto now = std::chrono::steady_clock::now();
    return now - ended_at_.emplace(ended_at_.value_or(now)) < defaults::leave_limit
             ? end_cause::none
             : cause;
  }

private:
  work_watch_ptr watch_;
  std::optional<std::chrono::steady_clock::time_point> ended_at_;
};

class postgres_cluster : public cluster_port {
public:
  explicit postgres_cluster(postgres_settings settings) : settings_(std::move(settings)) {}

  void watched_by(work_watch_ptr watch) override {
    watch_ = watch;
    patience_.over(std::move(watch));
  }

  result<heard> beat(const report& report) override {
    try {
      return on_live_session(
        db_, [&] { return sign_of_life(report); }, [] { return true; });
    } catch (const postgres_error& e) {
      recover(e);
      return outcome::failure(e.what());
    }
  }

  query_answer answer(const cluster_task& task) override {
    try {
      committing_ = false;
      auto answer = [&] {
        connect();
        return std::visit([this](const auto& wanted) { return execute(wanted); }, task);
      };
      return on_live_session(db_, answer, [this] { return !committing_; });
    } catch (const postgres_error& e) {
      recover(e);
      return {error_code::store_unavailable, e.what(), {}};
    }
  }

  void apply_settings(const config& settings) override {
    settings_ = postgres_settings_of(settings);
  }

  void leave() override {
    try {
      if (!joined_)
        return;
      connect(); // else the others would wait for its lease to end, and miss it for ever
      auto own = value::number(run_of_process::own().number);
      queue_begin();
      db_.queue(leave_duty, {value::text(settings_.instance), own});
      db_.queue(leave_cluster, {value::text(settings_.instance), own});
      db_.queue("COMMIT");
      db_.run_queued();
    } catch (const std::exception&) {
      // It is away: the lease tells the others.
    }
    db_.close();
  }

private:
  result<heard> sign_of_life(const report& report) {
    connect();
    auto said = renew(report);
    if (!said.step()) { // somebody struck it off, or has taken the name
      claim_name(db_, settings_, {}, defaults::heartbeat_lock);
      said = renew(report);
      if (!said.step())
        throw postgres_error{"this instance has lost its name", {}};
    }
    if (auto agree = compare_clocks(said.integer(1), wall_clock_us()); !agree)
      return agree;
    begin();
    auto duty = db_.run(
      take_duty, {value::text(settings_.instance), value::number(defaults::duty_lease.count())});
    auto limit = std::max<std::chrono::milliseconds>(settings_.commit_timeout * 2, defaults::lease);
    db_.run(end_silent_sessions, {value::number(limit.count())});
    db_.commit();
    return heard{.wanted = parse_instance_wish(said.text(0)), .leads = duty.step()};
  }

  /// A stop ends at once what makes the first session: there is nothing to leave yet.
  void connect() {
    patience_.begin();
    if (db_.is_open())
      return;
    db_.set_limit(settings_.commit_timeout);
    if (!joined_)
      db_.watched_by(watch_.get());
    connect_and_migrate(db_, // the store may not have come to it yet
                        {.url = settings_.url,
                         .connect_timeout = settings_.connect_timeout,
                         .for_writing = true,
                         .name = "phi-backend " + settings_.instance + " membership"});
    try {
      claim_name(db_, settings_, {}, defaults::heartbeat_lock);
      joined_ = true;
    } catch (...) {
      db_.close();
      throw;
    }
    db_.watched_by(&patience_);
  }

  /// Leases and duties need not outlive a crash of the server: they wait for no disk and no
  /// standby.
  void queue_begin() {
    store::queue_begin(db_, settings_.commit_timeout, defaults::heartbeat_lock);
    db_.queue("SET LOCAL synchronous_commit = off");
  }

  void begin() {
    queue_begin();
    db_.run_queued();
  }

  /// A statement that somebody has asked for. Like a sign of life, which waits for it, it waits
  /// for locks no longer than that.
  postgres_rows change(const char* sql, const std::vector<value>& values) {
    begin_limited(db_, settings_.commit_timeout, defaults::heartbeat_lock);
    auto out = db_.run(sql, values);
    committing_ = true;
    db_.commit();
    return out;
  }

  postgres_rows renew(const report& report) {
    begin();
    auto out = db_.run(
      postgres_sql::beat,
      {value::text(settings_.instance), value::number(run_of_process::own().number),
       value::text(std::string{to_string(report.state)}), value::number(defaults::lease.count()),
       value::number(static_cast<int64_t>(report.spooled)), value::number(report.committed)});
    db_.commit();
    return out;
  }

  void recover(const std::exception& e) noexcept {
    db_.set_limit(settings_.commit_timeout);
    db_.recover(e);
  }

  query_answer execute(const steer_instance& task) {
    const auto& instance = task.instance;
    const std::string wanted{to_string(task.wanted)};
    if (change(want, {value::text(instance), value::text(wanted)}).changed() == 0)
      return {error_code::not_found, "there is no instance " + instance + " that is up", {}};
    return {.body = json{{"instance", instance}, {"wanted", wanted}}.dump()};
  }

  query_answer execute(const forget_instance& task) {
    const auto& instance = task.instance;
    if (change(forget, {value::text(instance)}).changed() == 0)
      return {error_code::not_found, "there is no instance " + instance + " that is down", {}};
    return {.body = json{{"forgotten", instance}}.dump()};
  }

  query_answer execute(const give_restart_slot& task) {
    const auto& instance = task.instance;
    if (instance.empty() || instance == settings_.instance) {
      change(leave_restart_slot, {value::text(settings_.instance)});
      return slot_answer(false);
    }
    if (change(free_restart_slot_of, {value::text(instance)}).step())
      return slot_answer(false, instance);
    bool has = change(restart_slot_is_of, {value::text(instance)}).step();
    return {error_code::not_found,
            has ? instance
                    + " has the restart slot and is up: give it back there, with"
                      " phictl cluster restart-slot --give-back"
                : instance + " does not have the restart slot",
            {}};
  }

  /// One at a time: whoever has the restart slot may go down, if all others are up.
  query_answer execute(const take_restart_slot&) {
    auto own = value::text(settings_.instance);
    begin_limited(db_, settings_.commit_timeout, defaults::heartbeat_lock);
    db_.run(lock_restart_slot);
    std::string why;
    if (auto other = db_.run(restart_slot_of_another, {own}); other.step())
      why = other.text(0) + " has the restart slot";
    if (auto down = db_.run(others_not_ready, {own}); why.empty() && down.step())
      why = down.text(0) + " is " + down.text(1);
    if (!why.empty()) {
      db_.run("ROLLBACK");
      return {error_code::overloaded, why, {}};
    }
    db_.run(enter_restart_slot, {own});
    db_.commit();
    return slot_answer(true);
  }

  postgres_settings settings_;
  work_watch_ptr watch_;
  brief_patience patience_;
  bool joined_ = false;     ///< the name was ours once
  bool committing_ = false; ///< what was asked for may be done
  postgres_connection db_;
};

} // namespace

cluster_port_ptr make_postgres_cluster(postgres_settings settings) {
  return std::make_shared<postgres_cluster>(std::move(settings));
}

} // namespace phi::store
