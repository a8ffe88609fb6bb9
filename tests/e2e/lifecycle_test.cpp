// GET /lifecycle and `phictl lifecycle` on the real service, through starts, stops, kills and
// reloads.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/text_file.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::ordered_json;

namespace {

const settings quiet{{"APP_STATS_TRACK_REQUESTS", "false"}};

json rows_of(const service_process& service) {
  auto answer = get(service.port(), "/api/v1/lifecycle");
  CHECK(answer.status == 200);
  return json::parse(answer.body)["rows"];
}

std::string kinds(const json& rows) {
  std::string out;
  for (const auto& row : rows)
    out += (out.empty() ? "" : " ") + row["kind"].get<std::string>();
  return out;
}

template <class Condition>
bool soon(Condition holds) {
  for (int i = 0; i < 100 && !holds(); ++i)
    std::this_thread::sleep_for(50ms);
  return holds();
}

} // namespace

TEST_CASE("lifecycle: starts, stops with mode, reason and length, kills and forced exits, the "
          "newest last") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto first = rows_of(service);
  CHECK(kinds(first) == "start");
  CHECK_FALSE(first[0].contains("until"));
  CHECK(service.stop().code == 0);
  service.start_again();
  auto second = rows_of(service);
  REQUIRE(kinds(second) == "start stop start");
  CHECK(second[0] == first[0]);
  CHECK(second[1]["mode"] == "graceful");
  CHECK(second[1]["reason"] == "terminate");
  CHECK(second[1]["exitCode"] == 0);
  CHECK(second[1]["detail"] == "clean stop, ledger balanced");
  CHECK(second[1]["tookMs"].get<double>() > 0);
  CHECK(second[1]["at"].get<std::string>() < second[1]["until"].get<std::string>());
  CHECK(second[1]["runId"] == first[0]["runId"]);
  CHECK(second[2]["runId"] != first[0]["runId"]);
  service.kill();
  service.start_again();
  CHECK(kinds(rows_of(service)) == "start stop start crash start");
  CHECK(ctl(dir, {"stop", "--mode", "immediate"}).code == 0);
  CHECK(service.wait().code == 82);
  service.start_again();
  auto all = rows_of(service);
  CHECK(kinds(all) == "start stop start crash start forced start");
  CHECK(all[5]["exitCode"] == 82);
  auto lines = get(service.port(), "/api/v1/lifecycle?format=ndjson").body;
  CHECK(json::parse(lines.substr(0, lines.find('\n'))) == first[0]);
  auto csv = get(service.port(), "/api/v1/lifecycle", "Accept: text/csv\r\n").body;
  CHECK(csv.starts_with("at,until,kind,detail,version,"));
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 8);
  auto table = ctl(dir, {"lifecycle", "-n", "2"});
  CHECK(table.code == 0);
  CHECK(std::count(table.out.begin(), table.out.end(), '\n') == 3);
  CHECK(has(table.out, "forced"));
  CHECK(json::parse(ctl(dir, {"--json", "lifecycle"}).out)["rows"] == all);
}

TEST_CASE("lifecycle: a lame duck, reloads, and a damaged file that harms nothing") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  CHECK(ctl(dir, {"drain"}).code == 0);
  CHECK(soon([&] { return kinds(rows_of(service)) == "start lame_duck"; }));
  CHECK_FALSE(rows_of(service)[1].contains("until"));
  CHECK(ctl(dir, {"undrain"}).code == 0);
  CHECK(soon([&] { return rows_of(service)[1].contains("until"); }));
  CHECK(ctl(dir, {"reload"}).code == 0);
  auto rows = rows_of(service);
  CHECK(kinds(rows) == "start lame_duck reload");
  CHECK(rows[2]["detail"] == "0 settings changed, 0 need a restart");
  CHECK(service.stop().code == 0);
  CHECK(soon([&] { return has(read_file(dir.path("lifecycle.json")), "lame_duck"); }));
  service.start_again();
  CHECK(kinds(rows_of(service)) == "start lame_duck reload stop start");
  CHECK(service.stop().code == 0);
  write_text(dir.path("lifecycle.json"), "{\"rows\":");
  service.start_again();
  CHECK(service.logged("and a new history begins"));
  CHECK(kinds(rows_of(service)) == "start stop start"); // of the last run its report tells
  CHECK(read_file(dir.path("lifecycle.json.damaged")) == "{\"rows\":");
  CHECK(service.stop().code == 0);
}

TEST_CASE("lifecycle: a stop under way is told while it lasts") {
  temp_dir dir;
  auto env = quiet;
  env["APP_SERVER_KEEPALIVE_GRACE_MS"] = "5000";
  service_process service{dir.path(), env};
  http_client asker{service.port()};
  CHECK(asker.get("/health/live").status == 200);
  service.signal(SIGTERM);
  REQUIRE(service.wait_for_log("supervisor begins to stop"));
  auto rows = json::parse(asker.get("/api/v1/lifecycle").body)["rows"];
  REQUIRE(kinds(rows) == "start stop");
  CHECK(rows[1]["detail"] == "under way");
  CHECK_FALSE(rows[1].contains("until"));
  CHECK(service.wait().code == 0);
}

TEST_CASE("lifecycle: a disk that does not take the history holds up neither start nor stop") {
  temp_dir dir;
  std::filesystem::create_directories(dir.path("lifecycle.json.new/in the way"));
  service_process service{dir.path(), quiet};
  CHECK(kinds(rows_of(service)) == "start");
  auto end = service.stop();
  CHECK(end.code == 0);
  CHECK(end.took < 2s);
}
