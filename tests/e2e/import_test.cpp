// Access logs that phictl imports, against the real service.

#include "tests/support/background_program.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::json;

namespace {

/// As a small web site has them: pages, a few errors, a bot among ten.
std::string access_line(int number) {
  auto two = [](int n) { return std::to_string(100 + n).substr(1); };
  const bool bot = number % 10 == 0;
  return "198.51.100." + std::to_string(number % 50) + " - - [0" + std::to_string(1 + number % 5)
         + "/Nov/2026:" + two(number % 24) + ":" + two(number % 60) + ":00 +0000] \"GET /page/"
         + std::to_string(number % 20) + "?n=" + std::to_string(number) + " HTTP/1.1\" "
         + (number % 40 == 0 ? "404" : "200") + " 512 \"-\" \""
         + (bot ? "examplebot/1.0" : "Mozilla/5.0 Firefox/115.0") + "\"\n";
}

void append(const std::string& file, const std::string& text) {
  std::ofstream{file, std::ios::app} << text;
}

const settings quiet{{"APP_STATS_TRACK_REQUESTS", "false"}};

} // namespace

TEST_CASE("import: ten thousand lines of an access log count once, and bots apart") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto file = dir.path("access.log");
  for (int i = 0; i < 10'000; ++i)
    append(file, access_line(i));
  append(file, "no line of a log\n");
  auto first = ctl(dir, {"import", "--format", "combined", file});
  CHECK(first.out == "10 000 stored, 0 known already, 1 rejected\n");
  CHECK(has(first.err, "line 10001: unreadable_line the line is not like HOST IDENT USER [TIME] "));
  CHECK(ctl(dir, {"import", "--format", "combined", file}).out
        == "0 stored, 10 000 known already, 1 rejected\n");
  auto asked = [&](const std::string& question) {
    return json::parse(get(service.port(), "/api/v1/stats/" + question).body);
  };
  auto all = asked("summary?start=2026-11-01&end=2026-11-05&include=all&top=200");
  CHECK(all["eventsTotal"] == 10'000);
  CHECK(all["httpErrors"] == 250);
  CHECK(all["routes"].size() == 20);
  auto kinds =
    asked("series?start=2026-11-01&end=2026-11-05&interval=month&by=user_kind&metrics=users");
  CHECK(kinds["keys"] == json{{{"key", "visitor"}, {"users", 45}}, {{"key", "bot"}, {"users", 5}}});
  auto piped = shell("head -n 3 " + file + " | " + phictl() + " --socket " + dir.path("admin.sock")
                     + " import --format combined -");
  CHECK(piped.out == "3 stored, 0 known already, 0 rejected\n");
  CHECK(shell(phictl() + " --socket " + dir.path("admin.sock") + " import --format combined - < "
              + file)
          .out
        == "0 stored, 10 000 known already, 1 rejected\n");
  CHECK(ctl(dir, {"import", "--format", "apache", file}).code == 2);
  CHECK(ctl(dir, {"import", "--follow", file, file}).code == 2);
  CHECK(service.stop().code == 0);
}

TEST_CASE(
  "import: a log is followed over its rotation, half lines and all, and each line counts once") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto file = dir.path("access.log");
  auto stored = [&] {
    auto day = json::parse(
      get(service.port(), "/api/v1/stats/summary?start=2026-11-01&end=2026-11-05").body);
    return day["eventsTotal"].get<int>();
  };
  append(file, access_line(1) + access_line(2));
  std::optional<background_program> follower;
  follower.emplace(std::vector<std::string>{phictl(), "--socket", dir.path("admin.sock"), "import",
                                            "--format", "combined", "--follow", file},
                   dir.path("follower"));
  CHECK(eventually([&] { return stored() == 2; }));
  auto third = access_line(3);
  append(file, third.substr(0, 40));
  std::this_thread::sleep_for(600ms);
  CHECK(stored() == 2);
  append(file, third.substr(40));
  CHECK(eventually([&] { return stored() == 3; }));
  std::filesystem::rename(file, file + ".1");
  append(file + ".1", access_line(4)); // whoever has it open still writes
  append(file, access_line(5));
  CHECK(eventually([&] { return stored() == 5; }));
  std::filesystem::resize_file(file, 0); // copied and emptied
  std::this_thread::sleep_for(600ms);
  append(file, access_line(6));
  CHECK(eventually([&] { return stored() == 6; }));
  follower.reset();
  CHECK(ctl(dir, {"import", "--format", "combined", file + ".1"}).out
        == "0 stored, 4 known already, 0 rejected\n");
  CHECK(ctl(dir, {"import", "--format", "combined", file}).out
        == "0 stored, 1 known already, 0 rejected\n");
  CHECK(service.stop().code == 0);
}
