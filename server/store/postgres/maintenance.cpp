#include "config/defaults.hpp"
#include "server/store/postgres/connection.hpp"
#include "server/store/postgres/counting.hpp"
#include "server/store/postgres/lease.hpp"
#include "server/store/postgres/maintenance_steps.hpp"
#include "server/store/postgres/ports.hpp"
#include "server/store/postgres/schema.hpp"

namespace phi::store {
namespace {

/// A connection of its own, so that a step that takes minutes costs no sign of life.
class postgres_maintenance : public maintenance_port {
public:
  explicit postgres_maintenance(postgres_settings settings) : settings_(std::move(settings)) {}

  void watched_by(work_watch_ptr watch) override {
    watch_ = std::move(watch);
    db_.watched_by(watch_.get()); // it may wait for somebody's lock, and a stop ends it
  }

  done step() override {
    try {
      auto first_use = [this] {
        connect();
        return database_now_us(db_);
      };
      on_live_session(db_, first_use, [] { return true; });
      auto out = steps_.next(db_, settings_.keep_days);
      if (steps_.waits_for_counts() && out.ended) {
        constexpr int most_slices = 20; // then the next round goes on
        for (int i = 0; i < most_slices && counting_.slice(db_, true).more; ++i) {
        }
        auto more = steps_.next(db_, settings_.keep_days);
        out.did += (out.did.empty() || more.did.empty() ? "" : "; ") + more.did;
        out.warning += (out.warning.empty() || more.warning.empty() ? "" : "; ") + more.warning;
        out.ended = more.ended;
        out.uncounted_bytes = more.uncounted_bytes;
      }
      return out;
    } catch (const postgres_error& e) {
      db_.recover(e);
      return {.ended = outcome::failure(e.what())};
    }
  }

  counted count() override {
    try {
      auto slice = [this] {
        connect();
        return counting_.slice(db_);
      };
      auto made = on_live_session(db_, slice, [] { return true; });
      steps_.note_damaged(counting_.take_damaged());
      return {.did = made.did, .more = made.more};
    } catch (const std::exception& e) {
      db_.recover(e);
      return {.ended = outcome::failure(e.what())};
    }
  }

  void apply_settings(const config& settings) override {
    settings_ = postgres_settings_of(settings);
  }

  void close() override { db_.close(); }

private:
  void connect() {
    if (db_.is_open())
      return;
    db_.set_limit(settings_.commit_timeout);
    connect_and_migrate(db_, // the store may not have come to it yet
                        {.url = settings_.url,
                         .connect_timeout = settings_.connect_timeout,
                         .for_writing = true,
                         .name = "phi-backend " + settings_.instance + " maintenance"});
    db_.set_limit(defaults::maintenance_limit);
  }

  postgres_settings settings_;
  postgres_connection db_;
  maintenance_steps steps_;
  counting counting_{settings_.cubes};
  work_watch_ptr watch_;
};

} // namespace

maintenance_port_ptr make_postgres_maintenance(postgres_settings settings) {
  return std::make_shared<postgres_maintenance>(std::move(settings));
}

} // namespace phi::store
