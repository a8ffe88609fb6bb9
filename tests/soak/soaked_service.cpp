#include "tests/soak/soaked_service.hpp"

#include "protocol/lifecycle.hpp"
#include "tests/support/eventually.hpp"

#include <algorithm>
#include <csignal>
#include <sqlite3.h>
#include <sys/stat.h>

namespace phi::soak {

using namespace std::chrono_literals;
using testing::eventually;
using testing::settings;

namespace {

constexpr auto start_limit = 60s;
constexpr auto end_limit = 60s;
constexpr auto settle_limit = 60s;

/// What must hold when nobody disturbs: nothing degraded, but for poison that has come through the
/// spool and stays set aside there, and nothing waiting.
bool is_whole(const std::string& health) {
  auto says = [&](const char* text) { return health.find(text) != health.npos; };
  bool aside = testing::gauge(health, "setAside") > 0
               && says(R"("causes":["spool: the spool is not as it should be"])");
  return (says(R"("status":"ok")") || aside) && testing::gauge(health, "spooled") == 0
         && says(R"("balanced":true)");
}

void run_in_file(const std::string& file, const std::string& sql) {
  sqlite3* db = nullptr;
  sqlite3_open(file.c_str(), &db);
  sqlite3_busy_timeout(db, 10'000);
  char* why = nullptr;
  sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &why);
  std::string text = why ? why : "";
  sqlite3_free(why);
  sqlite3_close(db);
  if (!text.empty())
    throw std::runtime_error(sql + ": " + text);
}

} // namespace

soaked_service::soaked_service(database kind, double minutes)
  : kind_{kind},
    port_{testing::free_port()} {
  ::chmod(dir_.path().c_str(), 0755);
  if (!testing::may_not_mount())
    disk_.emplace(dir_.path("disk"), std::to_string(128 + static_cast<int>(20 * minutes)) + "m");
  else
    std::filesystem::create_directories(dir_.path("disk"));
  if (kind == database::postgres) {
    server_ = std::make_unique<testing::postgres_server>();
    network_ = std::make_unique<testing::tcp_proxy>(server_->port());
  }
  start();
  if (!findings_.empty())
    throw std::runtime_error(findings_[0]);
  forbid_poison();
}

soaked_service::~soaked_service() = default;

settings soaked_service::own_settings() const {
  settings out{{"APP_SERVER_PORT", std::to_string(port_)},
               {"APP_STATS_BUSY_TIMEOUT_MS", "1000"},
               {"APP_STATS_POSTGRES_CONNECT_TIMEOUT_SECS", "2"},
               {"APP_SPOOL_AFTER_MS", "300"},
               {"APP_SPOOL_MIN_FREE_BYTES", "0"},
               {"APP_SPOOL_PATH", dir_.path("disk/spool.db")},
               {"APP_STATS_SQLITE_PATH", dir_.path("disk/phi.db")}};
  if (kind_ == database::postgres) {
    out["APP_STATS_STORAGE"] = "postgres";
    out["APP_STATS_POSTGRES_URL"] = testing::postgres_server::url(network_->port());
  }
  return out;
}

void soaked_service::forbid_poison() {
  auto has_schema = [&] {
    return server_->number("SELECT count(*) FROM pg_class WHERE relname = 'event'") == 1;
  };
  if (kind_ == database::postgres && !eventually(has_schema, start_limit))
    throw std::runtime_error("the service makes no schema:\n" + log());
  if (kind_ == database::postgres)
    server_->ask("ALTER TABLE event ADD CONSTRAINT soak CHECK (action NOT LIKE 'poison%')");
  else
    run_in_file(dir_.path("disk/phi.db"),
                "CREATE TRIGGER soak BEFORE INSERT ON event WHEN new.action LIKE 'poison%' "
                "BEGIN SELECT raise(ABORT, 'poison'); END");
}

testing::question soaked_service::asked() const {
  return kind_ == database::postgres ? server_->asked()
                                     : testing::in_file(dir_.path("disk/phi.db"));
}

void soaked_service::start(const settings& more) {
  auto with = own_settings();
  for (const auto& [name, value] : more)
    with[name] = value;
  for (auto end = std::chrono::steady_clock::now() + start_limit;;) {
    {
      auto begun = std::make_unique<testing::service_process>(dir_.path(), with, false);
      std::lock_guard lock{mutex_};
      service_ = std::move(begun);
    }
    if (eventually(
          [&] { return log().find("supervisor is ready") != std::string::npos || !running(); },
          start_limit)
        && running())
      return;
    auto said = log();
    bool excused = no_start > 0;
    if (!excused || std::chrono::steady_clock::now() > end) {
      if (!more.contains("PHI_FAULTS"))
        wrong("the service does not start:\n" + said);
      return;
    }
    std::this_thread::sleep_for(200ms);
  }
}

int soaked_service::ended(const std::set<int>& codes) {
  std::unique_lock lock{mutex_};
  auto service = std::move(service_);
  lock.unlock();
  if (!service)
    return 0;
  try {
    auto ended = service->wait(end_limit);
    int code = ended.signal ? -ended.signal : ended.code;
    if (!codes.contains(code)) {
      std::string right;
      for (int one : codes)
        right += (right.empty() ? "" : " or ") + std::to_string(one);
      wrong("the service ended with " + std::to_string(code) + ", right is " + right + ":\n"
            + service->log());
    }
    if (code == 0 && last_exit().find("\"balanced\": true") == std::string::npos)
      wrong("the report of a clean stop does not say that the ledger balances:\n" + last_exit());
    return code;
  } catch (const std::exception& e) {
    wrong(e.what());
    return -SIGKILL; // its destructor does that
  }
}

void soaked_service::signal(int number) {
  std::lock_guard lock{mutex_};
  if (service_)
    service_->signal(number);
}

bool soaked_service::running() {
  std::lock_guard lock{mutex_};
  return service_ && service_->running();
}

pid_t soaked_service::pid() {
  std::lock_guard lock{mutex_};
  return service_ ? service_->pid() : -1;
}

std::string soaked_service::log() {
  std::lock_guard lock{mutex_};
  return service_ ? service_->log() : "";
}

std::string soaked_service::last_exit() {
  return testing::read_file(dir_.path("last-exit.json"));
}

void soaked_service::begin(const std::string& phase) {
  phase_ = phase;
  events_ = std::make_unique<account>();
}

std::string soaked_service::next_id(const std::string& prefix) {
  return prefix + phase_ + "-" + std::to_string(++ids_);
}

void soaked_service::settle() {
  if (!running()) {
    wrong("the service is gone though nothing should have ended it:\n" + log());
    start();
  }
  auto health = [&] { return testing::get(port_, "/health").body; };
  if (!eventually([&] { return is_whole(health()); }, settle_limit))
    wrong("after " + std::to_string(settle_limit.count())
          + " s without faults it is still not whole: " + health() + "\n" + log());
  auto probe = [&] {
    return testing::post(port_, "/api/v1/events", R"({"feature":"probe"})").status == 200;
  };
  if (!eventually(probe, 20s))
    wrong("it is healthy and takes no events:\n" + log());
  try {
    for (const auto& what : events_->differences(asked(), phase_))
      wrong(what);
    // Rows and counts are asked one after the other, and the service counts its own requests
    // meanwhile.
    std::string mismatch;
    auto same = [&] {
      mismatch =
        kind_ == database::postgres ? server_->count_mismatch() : testing::count_mismatch(asked());
      return mismatch.empty();
    };
    if (!eventually(same, 10s))
      wrong("the counts differ from the rows: " + mismatch);
  } catch (const std::exception& e) {
    wrong(std::string{"the account cannot be made: "} + e.what());
  }
  add_totals();
}

void soaked_service::add_totals() {
  auto now = events_->count();
  all_.acknowledged += now.acknowledged;
  all_.refused += now.refused;
  all_.unknown += now.unknown;
  all_.forbidden += now.forbidden;
}

void soaked_service::close() {
  signal(SIGTERM);
  ended({static_cast<int>(exit_code::clean)});
}

void soaked_service::wrong(const std::string& what) {
  std::lock_guard lock{findings_guard_};
  auto text = phase_ + ": " + what;
  if (std::find(findings_.begin(), findings_.end(), text) == findings_.end())
    findings_.push_back(text);
}

} // namespace phi::soak
