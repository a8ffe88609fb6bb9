#include "server/store/postgres/ports.hpp"

#include "config/defaults.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/store/postgres/connection.hpp"
#include "server/store/postgres/lease.hpp"
#include "server/store/postgres/schema.hpp"
#include "server/store/postgres/statements.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

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

class postgres_cluster : public cluster_port {
public:
  explicit postgres_cluster(postgres_settings settings) : settings_(std::move(settings)) {}

  result<heard> beat(const report& report) override {
    try {
      connect();
      auto said = renew(report);
      if (!said.step()) { // somebody struck it off, or has taken the name
        claim_name(db_, settings_, {});
        said = renew(report);
        if (!said.step())
          throw postgres_error{"this instance has lost its name", {}};
      }
      if (auto agree = compare_clocks(said.integer(1), wall_clock_us()); !agree)
        return agree;
      begin();
      auto duty = db_.run(
        take_duty, {value::text(settings_.instance), value::number(defaults::duty_lease.count())});
      auto limit =
        std::max<std::chrono::milliseconds>(settings_.commit_timeout * 2, defaults::lease);
      db_.run(end_silent_sessions, {value::number(limit.count())});
      db_.commit();
      return heard{.wanted = said.text(0), .leads = duty.step()};
    } catch (const postgres_error& e) {
      recover(e);
      return outcome::failure(e.what());
    }
  }

  query_answer answer(const cluster_task& task) override {
    try {
      connect();
      return std::visit([this](const auto& one) { return execute(one); }, task);
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
      if (!db_.is_open())
        return; // away: the lease tells the others
      auto own = value::number(run_of_process::own().number);
      db_.queue(leave_duty, {value::text(settings_.instance), own});
      db_.queue(leave_cluster, {value::text(settings_.instance), own});
      db_.run_queued();
    } catch (const postgres_error&) {
      // The same.
    }
    db_.close();
  }

private:
  void connect() {
    if (db_.is_open())
      return;
    db_.set_limit(settings_.commit_timeout);
    connect_and_migrate(db_, // the store may not have come to it yet
                        {.url = settings_.url,
                         .connect_timeout = settings_.connect_timeout,
                         .for_writing = true,
                         .name = "phi-backend " + settings_.instance + " membership"});
    try {
      claim_name(db_, settings_, {});
    } catch (...) {
      db_.close();
      throw;
    }
  }

  /// Leases and duties need not outlive a crash of the server: they wait for no disk and no
  /// standby.
  void begin() {
    queue_begin(db_, settings_.commit_timeout, defaults::heartbeat_lock);
    db_.queue("SET LOCAL synchronous_commit = off");
    db_.run_queued();
  }

  postgres_rows renew(const report& report) {
    begin();
    auto out = db_.run(
      postgres_sql::beat,
      {value::text(settings_.instance), value::number(run_of_process::own().number),
       value::text(report.state), value::number(defaults::lease.count()),
       value::number(static_cast<int64_t>(report.spooled)), value::number(report.committed)});
    db_.commit();
    return out;
  }

  void recover(const std::exception& e) noexcept {
    db_.set_limit(settings_.commit_timeout);
    db_.recover(e);
  }

  query_answer execute(const steer_instance& task) {
    const auto& [instance, wanted] = task;
    if (db_.run(postgres_sql::want, {value::text(instance), value::text(wanted)}).changed() == 0)
      return {error_code::not_found, "there is no instance " + instance + " that is up", {}};
    return {.body = json{{"instance", instance}, {"wanted", wanted}}.dump()};
  }

  query_answer execute(const forget_instance& task) {
    const auto& instance = task.instance;
    if (db_.run(postgres_sql::forget, {value::text(instance)}).changed() == 0)
      return {error_code::not_found, "there is no instance " + instance + " that is down", {}};
    return {.body = json{{"forgotten", instance}}.dump()};
  }

  query_answer execute(const give_restart_slot& task) {
    const auto& instance = task.instance;
    if (instance.empty() || instance == settings_.instance) {
      db_.run(leave_restart_slot, {value::text(settings_.instance)});
      return slot_answer(false);
    }
    if (db_.run(free_restart_slot_of, {value::text(instance)}).step())
      return slot_answer(false, instance);
    bool has = db_.run(restart_slot_is_of, {value::text(instance)}).step();
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
    begin_limited(db_, settings_.commit_timeout);
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
  postgres_connection db_;
};

} // namespace

cluster_port_ptr make_postgres_cluster(postgres_settings settings) {
  return std::make_shared<postgres_cluster>(std::move(settings));
}

} // namespace phi::store
