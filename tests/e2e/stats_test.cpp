// phictl stats: what people see of the numbers.

#include "tests/support/doctest.hpp"
#include "tests/support/phictl.hpp"

#include <nlohmann/json.hpp>

#include <fstream>

using namespace phi::testing;
using json = nlohmann::json;

namespace {

const settings quiet{{"APP_STATS_TRACK_REQUESTS", "false"}};

std::string today() {
  auto out = shell("date -u +%F").out;
  return out.substr(0, out.find('\n'));
}

} // namespace

TEST_CASE("stats: daily, features, latency, summary") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  for (int i = 0; i < 20; ++i)
    ctl(dir, {"send", "--feature", i % 4 == 0 ? "rare" : "often", "--status",
              i % 5 == 0 ? "500" : "200", "--duration-ms", std::to_string(i)});
  auto day = today();
  auto daily = ctl(dir, {"stats", "daily", "--start", day, "--end", day});
  CHECK(has(daily.out, day));
  CHECK(has(daily.out, "20"));
  CHECK(has(daily.out, "█"));
  auto features = ctl(dir, {"--json", "stats", "features", "--start", day, "--end", day});
  CHECK(json::parse(features.out)["rows"][0]["count"] == 15);
  CHECK(has(ctl(dir, {"stats", "latency"}).out, "20 timed events"));
  auto summary = ctl(dir, {"stats", "summary"});
  CHECK(has(summary.out, "often"));
  CHECK(has(summary.out, "rare"));
  auto wrong = ctl(dir, {"stats", "summary", "--timezone", "Europe/Berln"});
  CHECK(wrong.code == 1);
  CHECK(has(wrong.err, "did you mean Europe/Berlin?"));
  auto empty = ctl(dir, {"stats", "summary", "--timezone", ""});
  CHECK(empty.code == 1);
  CHECK(has(empty.err, "the time zone is empty; give a name such as Europe/Berlin"));
  CHECK(ctl(dir, {"stats", "daily"}).code == 2); // it needs a range
}

TEST_CASE("stats summary shows every part that was included, as a table") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  std::ofstream{dir.path("events.ndjson")}
    << R"({"feature":"f","route":"/often","method":"GET","status":200,"instance":"web-1",)"
    << R"("action":"open","durationMs":8,"user":"u","userKind":"guest","id":"1"})"
    << "\n"
    << R"({"feature":"f","route":"/often","method":"GET","status":404,"instance":"web-1",)"
    << R"("action":"open","user":"u","userKind":"guest","id":"2"})"
    << "\n"
    << R"({"feature":"f","route":"/rare","method":"POST","status":200,"instance":"web-2","id":"3"})"
    << "\n";
  CHECK(ctl(dir, {"import", dir.path("events.ndjson")}).code == 0);
  auto shown = ctl(dir, {"stats", "summary", "--include", "all"}).out;
  auto at_features = shown.find("FEATURE");
  REQUIRE(at_features != shown.npos);
  CHECK(has(shown.substr(0, at_features), "\n1 users\n0 addresses\n"));
  auto bar = [](int eighths) {
    std::string out;
    for (int i = 0; i < eighths / 8; ++i)
      out += "█";
    return out + (eighths % 8 == 0 ? "" : eighths % 8 == 4 ? "▌" : "?");
  };
  auto whole = bar(240);
  auto half = bar(120);
  std::string included = shown.substr(shown.find("\n\n") + 1);
  CHECK(included
        == "\nROUTE   EVENTS  \n/often  2       " + whole + "\n/rare   1       " + half
             + "\n\nMETHOD  EVENTS  \nGET     2       " + whole + "\nPOST    1       " + half
             + "\n\nSTATUS  EVENTS  \n200     2       " + whole + "\n404     1       " + half
             + "\n\nINSTANCE  EVENTS  \nweb-1     2       " + whole + "\nweb-2     1       " + half
             + "\n\nACTION  EVENTS  \nopen    2       " + whole
             + "\n\nKIND OF USER  USERS  \nguest         1      " + whole
             + "\n\n1 timed events\nLATENCY              MS\naverage              8.0  " + whole
             + "\nhalf of them within  8.0  " + whole + "\n95 % within          8.0  " + whole
             + "\n99 % within          8.0  " + whole + "\nlongest              8.0  " + whole
             + "\n");
  auto one = ctl(dir, {"stats", "summary", "--include", "routes", "--top", "1"}).out;
  CHECK(has(one, "/often"));
  CHECK_FALSE(has(one, "/rare"));
  CHECK_FALSE(has(one, "METHOD"));
  CHECK_FALSE(has(ctl(dir, {"stats", "summary"}).out, "ROUTE"));
}
