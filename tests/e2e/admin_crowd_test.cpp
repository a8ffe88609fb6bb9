// Many clients of the admin socket at once: those who leave in the middle leave nothing behind, and
// none of them holds a stop up.

#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/raw_admin.hpp"

#include <nlohmann/json.hpp>

#include <atomic>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::json;

namespace {

std::string request(const std::string& method, const std::string& params = "{}") {
  return R"({"jsonrpc":"2.0","id":1,"method":")" + method + R"(","params":)" + params + "}\n";
}

std::ptrdiff_t open_files(const service_process& service) {
  namespace fs = std::filesystem;
  std::error_code gone; // one may be closed while we look
  fs::directory_iterator all{"/proc/" + std::to_string(service.pid()) + "/fd", gone};
  return std::distance(fs::begin(all), fs::end(all));
}

/// One kind of client; `turn` counts up.
struct habit {
  const char* name;
  std::string text;  ///< what it sends
  bool reads = true; ///< else it leaves before the answer
};

const std::vector<habit>& habits() {
  static const std::string day =
    R"("path":"/stats/daily","query":"start=2026-01-01&end=2026-03-01")";
  static const std::vector<habit> all{
    {"says nothing", "", false},
    {"half a request", R"({"jsonrpc":"2.0","id":1,"me)", false},
    {"status", request("status")},
    {"status, and leaves", request("status"), false},
    {"tail", request("events", R"({"limit":10})")},
    {"tail, and leaves", request("events", R"({"limit":1000})"), false},
    {"ask", request("ask", "{" + day + "}")},
    {"ask, and leaves", request("ask", "{" + day + "}"), false},
    {"trace on", request("trace-on")},
    {"trace", request("trace-read")},
    {"trace, and leaves", request("trace-read"), false},
    {"trace off", request("trace-off")},
    {"send", request("ingest", R"({"lines":"{\"feature\":\"f\"}"})")},
    {"send, and leaves", request("ingest", R"({"lines":"{\"feature\":\"f\"}"})"), false},
    {"backup, and leaves", request("backup"), false},
    {"no request", "?\n"},
  };
  return all;
}

/// Whether it got an answer, or none was wanted.
bool come_and_go(const std::string& socket, const habit& habit) {
  raw_admin client{socket};
  if (!client.connected())
    return false;
  if (!habit.text.empty() && !client.send(habit.text))
    return false;
  return !habit.reads || client.line(20s).ends_with('\n');
}

} // namespace

TEST_CASE("admin socket: clients that connect and leave, in whatever state, leave no descriptor") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  auto socket = dir.path("admin.sock");
  for (const auto& client : habits()) // what is opened once and kept is open then
    come_and_go(socket, client);
  CHECK(eventually([&] { return come_and_go(socket, {"status", request("status")}); }));
  std::ptrdiff_t before = 0;
  CHECK(eventually([&] { return before == std::exchange(before, open_files(service)); }));
  for (const auto& client : habits()) {
    CAPTURE(client.name);
    for (int i = 0; i < 40; ++i)
      come_and_go(socket, client);
    REQUIRE(eventually([&] { return open_files(service) <= before; }, 10s));
  }
  CHECK(service.stop().code == 0);
}

TEST_CASE("admin socket: sessions of every kind, and clients that leave, hold no stop up") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  auto socket = dir.path("admin.sock");
  std::atomic<bool> over{false};
  std::atomic<uint64_t> answered{0};
  std::vector<std::thread> crowd;
  auto disperse = [&] {
    over = true;
    for (auto& client : std::exchange(crowd, {}))
      client.join();
  };
  struct at_end {
    std::function<void()> run;
    ~at_end() { run(); }
  } also_after_an_error{disperse};
  for (size_t first = 0; first < habits().size(); ++first)
    crowd.emplace_back([&, first] {
      for (auto at = first; !over; ++at) {
        const auto& client = habits()[at % habits().size()];
        if (come_and_go(socket, client))
          answered += client.reads;
        else
          std::this_thread::sleep_for(1ms); // the places are taken, or it has ended
      }
    });
  CHECK(eventually([&] { return answered > 500; }, 60s));
  auto end = service.stop();
  disperse();
  INFO(service.log());
  CHECK(end.code == 0);
  CHECK(end.took < 10s);
  auto report = json::parse(service.last_exit());
  CHECK(report["ledger"]["balanced"] == true);
  CHECK(report["exitCode"] == 0);
  CHECK_FALSE(std::filesystem::exists(socket));
}

TEST_CASE("admin socket: requests that die with the actor that had them are answered") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(),
                          {{"PHI_FAULTS", "admin.ping=throw@4*1"},
                           {"APP_SHUTDOWN_WATCHDOG_ENABLED", "true"},
                           {"APP_SHUTDOWN_WATCHDOG_INTERVAL_SECS", "1"}}};
  auto socket = dir.path("admin.sock");
  size_t answered = 0;
  size_t lost = 0;
  for (int i = 0; i < 2000 && !service.logged("starts an actor again"); ++i) {
    std::vector<std::unique_ptr<raw_admin>> crowd;
    for (int n = 0; n < 16; ++n) {
      crowd.push_back(std::make_unique<raw_admin>(socket));
      if (!crowd.back()->send(request("status")))
        crowd.pop_back();
    }
    for (const auto& client : crowd)
      (client->line(5s).ends_with('\n') ? answered : lost) += 1;
  }
  CHECK(service.logged("starts an actor again"));
  CHECK(answered > 10);
  CHECK(lost == 0);
  CHECK(eventually([&] { return come_and_go(socket, {"status", request("status"), true}); }));
  CHECK(service.stop().code == 0);
}
