#include "server/store/postgres_store.hpp"

#include "config/defaults.hpp"
#include "config/time_text.hpp"
#include "server/store/postgres.hpp"
#include "server/store/postgres_maintenance.hpp"
#include "server/store/postgres_schema.hpp"
#include "server/store/postgres_statements.hpp"

#include <nlohmann/json.hpp>

namespace phi::store {
namespace {

using namespace postgres_sql;
using json = nlohmann::ordered_json;
using value = postgres_value;

class postgres_cluster : public cluster_port {
public:
  explicit postgres_cluster(postgres_settings with) : with_(std::move(with)) {}

  heard beat(const report& how) override {
    try {
      connect();
      auto rows =
        db_.run(postgres_sql::beat, {value::text(with_.instance), value::text(PHI_VERSION),
                                     value::text(how.state), value::number(defaults::lease.count()),
                                     value::number(static_cast<int64_t>(how.spooled)),
                                     value::number(how.committed), value::number(!introduced_)});
      rows.step();
      introduced_ = true;
      auto duty = db_.run(
        take_duty, {value::text(with_.instance), value::number(defaults::duty_lease.count())});
      return {.wanted = rows.text(0), .leads = duty.step()};
    } catch (const postgres_error& e) {
      recover();
      return {.error = e.what()};
    }
  }

  std::string maintain() override {
    try {
      connect();
      db_.set_limit(defaults::maintenance_limit);
      auto did = maintenance_.step(db_, wall_clock_us(), with_.keep_days);
      db_.set_limit(with_.commit_timeout);
      return did;
    } catch (const postgres_error& e) {
      recover();
      return std::string{"nothing, for now: "} + e.what();
    }
  }

  query_answer answer(const query& what) override {
    try {
      connect();
      switch (what.kind) {
        case query_kind::cluster_want: return want(what.instance, what.text);
        case query_kind::cluster_forget: return forget(what.instance);
        case query_kind::cluster_take_turn: return take_turn();
        case query_kind::cluster_give_turn:
          db_.run(postgres_sql::give_turn, {value::text(with_.instance)});
          return {.body = json{{"turn", false}}.dump()};
        default: return {error_code::invalid_query, "this question is not known", {}};
      }
    } catch (const postgres_error& e) {
      recover();
      return {error_code::store_unavailable, e.what(), {}};
    }
  }

  void adopt(const config& settings) override { with_ = postgres_settings_of(settings); }

  void leave() override {
    try {
      if (!db_.is_open())
        return; // away: the lease tells the others
      db_.queue(leave_cluster, {value::text(with_.instance)});
      db_.queue(leave_duty, {value::text(with_.instance)});
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
    db_.set_limit(with_.commit_timeout);
    connect_and_migrate(db_, // the store may not have come to it yet
                        {.url = with_.url,
                         .connect_timeout = with_.connect_timeout,
                         .for_writing = true,
                         .name = "phi-backend " + with_.instance + " keeper"},
                        wall_clock_us());
  }

  void recover() noexcept {
    try {
      if (db_.in_transaction())
        db_.run("ROLLBACK");
      db_.set_limit(with_.commit_timeout);
    } catch (const postgres_error&) {
      db_.close();
    }
  }

  query_answer want(const std::string& instance, const std::string& state) {
    if (db_.run(postgres_sql::want, {value::text(instance), value::text(state)}).changed() == 0)
      return {error_code::not_found, "there is no instance " + instance + " that is up", {}};
    return {.body = json{{"instance", instance}, {"wanted", state}}.dump()};
  }

  query_answer forget(const std::string& instance) {
    if (db_.run(postgres_sql::forget, {value::text(instance)}).changed() == 0)
      return {error_code::not_found, "there is no instance " + instance + " that is down", {}};
    return {.body = json{{"forgotten", instance}}.dump()};
  }

  /// One at a time: whoever has the turn may go down, if all others are up.
  query_answer take_turn() {
    auto own = value::text(with_.instance);
    db_.run("BEGIN");
    db_.run(lock_turn);
    std::string why;
    if (auto other = db_.run(turn_of_another, {own}); other.step())
      why = other.text(0) + " has the turn";
    if (auto down = db_.run(others_not_ready, {own}); why.empty() && down.step())
      why = down.text(0) + " is " + down.text(1);
    if (!why.empty()) {
      db_.run("ROLLBACK");
      return {error_code::overloaded, why, {}};
    }
    db_.run(postgres_sql::take_turn, {own});
    db_.run("COMMIT");
    return {.body = json{{"turn", true}}.dump()};
  }

  postgres_settings with_;
  postgres db_;
  postgres_maintenance maintenance_;
  bool introduced_ = false; ///< this run of the instance, to the others
};

} // namespace

cluster_port_ptr make_postgres_cluster(postgres_settings with) {
  return std::make_shared<postgres_cluster>(std::move(with));
}

} // namespace phi::store
