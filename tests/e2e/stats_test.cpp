// phictl stats: what people see of the numbers.

#include "tests/support/doctest.hpp"
#include "tests/support/phictl.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <sstream>

using namespace phi::testing;
using json = nlohmann::json;

namespace {

const settings quiet{{"APP_STATS_TRACK_REQUESTS", "false"}};

std::string today() {
  auto out = shell("date -u +%F").out;
  return out.substr(0, out.find('\n'));
}

} // namespace

TEST_CASE("stats: daily, features, summary") {
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
  CHECK(has(ctl(dir, {"stats", "summary", "--include", "latency"}).out, "20 timed events"));
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
        == "\nROUTE   EVENTS  \n/often       2  " + whole + "\n/rare        1  " + half
             + "\n\nMETHOD  EVENTS  \nGET          2  " + whole + "\nPOST         1  " + half
             + "\n\nSTATUS  EVENTS  \n   200       2  " + whole + "\n   404       1  " + half
             + "\n\nINSTANCE  EVENTS  \nweb-1          2  " + whole + "\nweb-2          1  " + half
             + "\n\nACTION  EVENTS  \nopen         2  " + whole
             + "\n\nKIND OF USER  USERS  \nguest             1  " + whole
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

TEST_CASE("stats: every question has its command, its table and the same answer in JSON") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  std::ofstream{dir.path("events.ndjson")}
    << R"({"feature":"f","route":"/often","method":"GET","status":200,"durationMs":8,"user":"u",)"
    << R"("id":"1"})"
    << "\n"
    << R"({"feature":"f","route":"/often","method":"GET","status":404,"durationMs":12.5,"id":"2"})"
    << "\n"
    << R"({"feature":"g","route":"/rare","method":"POST","status":503,"id":"3"})"
    << "\n";
  CHECK(ctl(dir, {"import", dir.path("events.ndjson")}).code == 0);
  const auto day = today();
  auto shown = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "stats");
    auto told = ctl(dir, words);
    INFO(told.err);
    CHECK(told.code == 0);
    return told.out;
  };
  CHECK(shown({"dau", "today"})
        == "DATE        ACTIVE USERS  ACTIVE IPS\n" + day + "             1           0\n");
  auto http = shown({"http", "--last", "1d"});
  CHECK(has(http, "\n" + day + "  /often  GET"));
  CHECK(has(http, day + "      3       2     66.67 %"));
  CHECK(has(shown({"latency", "today", "--route", "/often"}),
            day + "  f        /often  GET         2    8.00   10.25   12.50"));
  auto series = shown({"series", "--last", "2d", "--by", "feature", "--metrics", "events,users"});
  CHECK(has(series, day + "  f         2      1\n"));
  CHECK(has(series, "total                 3      1\n"));
  CHECK(has(series, "\nKEY  EVENTS  USERS\nf         2      1\ng         1      0\n"));
  auto two = shown({"series", "today", "--feature", "f", "--feature", "g", "--metrics", "events",
                    "--compare", "previous"});
  CHECK(has(two, day + "       3\ntotal            3\n"));
  CHECK(has(two, " to "));
  auto routes = shown({"routes", "--last", "4w"});
  CHECK(has(routes, "KEY     EVENTS  ERRORS  ERROR RATE"));
  CHECK(has(routes, "/often       2       1     50.00 %   10.25"));
  auto errors = shown({"errors", "--last", "24h"});
  CHECK(has(errors, "/often       1"));
  CHECK(has(errors, "/rare        1"));
  CHECK(shown({"dau", "yesterday", "--json"}).find("\"activeUsers\": 0") != std::string::npos);
  auto json_of = ctl(dir, {"--json", "stats", "series", "today", "--metrics", "events"});
  CHECK(json::parse(json_of.out)["totals"]["events"] == 3);
  CHECK(shown({"latency", "yesterday"}) == "nothing was counted\n");
}

TEST_CASE("stats: days are said once, and what is no range is told") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto wrong = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "stats");
    auto told = ctl(dir, words);
    CHECK(told.code == 2);
    return told.err;
  };
  CHECK(has(wrong({"dau"}), "which days? --start and --end, --last 7d, today, or yesterday"));
  CHECK(has(wrong({"dau", "--start", "today"}), "which days?"));
  CHECK(has(wrong({"dau", "today", "--last", "7d"}), "either today or yesterday, or --last"));
  CHECK(has(wrong({"dau", "today", "--end", "today"}), "--start and --end say which days"));
  CHECK(has(wrong({"dau", "tomorrow"}), "tomorrow"));
  for (std::string last : {"", "7", "d", "0d", "-1d", "7m", "999999d", "1.5d"})
    CHECK(has(wrong({"dau", "--last=" + last}), "--last"));
  auto refused = ctl(dir, {"stats", "series", "today", "--by", "route", "--metrics", "users"});
  CHECK(refused.code == 1);
  CHECK(has(refused.err, "users: counted by feature and user_kind; here by route"));
  CHECK(has(wrong({"dau", "--last", "24h"}),
            "--last: whole days are told here; expected days or weeks, such as 7d or 4w"));
  CHECK(has(wrong({"series", "--last", "24m"}),
            "--last: expected days, weeks or hours, such as 7d, 4w or 24h"));
  CHECK(ctl(dir, {"stats", "series", "--last", "24h"}).code == 0);
  CHECK(has(ctl(dir, {"stats", "dau", "--help"}).out, "The last days or weeks, such as 7d or 4w"));
  auto empty = ctl(dir, {"stats", "daily", "today", "--feature", ""});
  CHECK(empty.code == 1);
  CHECK(has(empty.err, "feature: the text is empty; leave it out to mean all"));
}

TEST_CASE("stats: a shortcut has the options that do something, and says what it leaves out") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  std::ofstream{dir.path("events.ndjson")} << R"({"route":"/a","status":404,"id":"1"})"
                                           << "\n"
                                           << R"({"route":"/a","status":503,"id":"2"})"
                                           << "\n"
                                           << R"({"route":"/b","status":200,"id":"3"})"
                                           << "\n";
  CHECK(ctl(dir, {"import", dir.path("events.ndjson")}).code == 0);
  auto told = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "stats");
    return ctl(dir, words);
  };
  auto errors = told({"errors", "today", "--compare", "yesterday..yesterday"}).out;
  auto begins = [](const std::string& text, const std::string& with) {
    return text.starts_with(with);
  };
  CHECK(begins(errors, "only class 4xx, 5xx\n\nKEY  EVENTS  \n/a        2  "));
  CHECK(has(errors, ":\nKEY  EVENTS  \n/a        0  \n"));
  CHECK(has(told({"errors", "today", "--class", "5xx"}).out, "only class 5xx\n"));
  CHECK(begins(told({"routes", "today", "--metrics", "events", "--route", "/b"}).out,
               "only route /b\n\nKEY  EVENTS  \n/b        1  "));
  for (const std::string fixed : {"--interval", "--by"}) {
    auto refused = told({"routes", "today", fixed, "day"});
    CHECK(refused.code == 2);
    CHECK(has(refused.err, "there is no option stats routes " + fixed));
  }
  auto share = told({"errors", "today", "--metrics", "error_rate"});
  CHECK(share.code == 2);
  CHECK(
    has(share.err, "--metrics: error_rate is not told here; there are events, avg, min, max, all"));
  CHECK(
    has(told({"errors", "today", "--metrics", "all"}).out, "KEY  EVENTS  AVG MS  MIN MS  MAX MS"));
  auto help = told({"errors", "--help"}).out;
  CHECK(has(help, "Only these classes of statuses; 4xx,5xx unless given"));
  CHECK_FALSE(has(help, "error_rate"));
  CHECK_FALSE(has(help, "--interval"));
  CHECK(has(help, "20 unless given, more than 200 counts as 200"));
}

TEST_CASE("stats: sums stand below their tables") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  std::ofstream{dir.path("events.ndjson")}
    << R"({"feature":"a","route":"/a","status":404,"id":"1"})"
    << "\n"
    << R"({"feature":"a","route":"/b","status":200,"id":"2"})"
    << "\n"
    << R"({"feature":"b","id":"3"})"
    << "\n";
  CHECK(ctl(dir, {"import", dir.path("events.ndjson")}).code == 0);
  auto summary = ctl(dir, {"stats", "summary"}).out;
  CHECK(has(summary, "\n3 events; 2 of them with a route, 1 of these errors\n"));
  CHECK(has(summary, "\ntotal         3"));
  CHECK(has(ctl(dir, {"stats", "daily", "today"}).out, "\ntotal            3       1\n"));
}

TEST_CASE("stats: on a terminal of 80 columns every number is there, and no line is longer") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  const std::string route = "/api/v1/customers/orders/items/prices/of-yesterday";
  std::ofstream{dir.path("events.ndjson")}
    << R"({"feature":"a","route":")" << route
    << R"(","method":"GET","status":404,"durationMs":12.5,"id":"1"})"
    << "\n"
    << R"({"feature":"b","route":"/short","method":"PATCH","status":200,"durationMs":8,"id":"2"})"
    << "\n";
  CHECK(ctl(dir, {"import", dir.path("events.ndjson")}).code == 0);
  auto on_terminal = [&](const std::string& words) {
    auto told = shell("NO_COLOR=1 script -qec 'stty cols 80; " + phictl() + " --socket "
                      + dir.path("admin.sock") + " stats " + words + "' /dev/null </dev/null");
    CHECK(told.code == 0);
    std::erase(told.out, '\r');
    std::istringstream lines{told.out};
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      CHECK(std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; })
            <= 80);
    }
    return told.out;
  };
  const auto day = today();
  auto http = on_terminal("http today");
  CHECK(http.starts_with(std::string(53, ' ') + "CLIENT  SERVER\n" + std::string(29, ' ')
                         + "ERROR  CLIENT  SERVER    ERROR   ERROR\n"
                           "DATE        TOTAL  ERRORS     RATE  ERRORS  ERRORS     RATE    RATE\n"
                         + day + "      2       1  50.00 %       1       0  50.00 %  0.00 %\n\n"));
  CHECK(has(http, day + "  /short  "));
  CHECK(has(http, "… names are shortened; --json and a pipe have them whole\n"));
  CHECK_FALSE(has(http, route));
  auto piped = ctl(dir, {"stats", "http", "today"}).out;
  CHECK(has(piped, route));
  CHECK_FALSE(has(piped, "…"));
  auto series = on_terminal("series today --by route --metrics "
                            "events,errors,error_rate,avg,min,max,p50,p90,p95,p99,p999");
  for (const auto* head :
       {"EVENTS", "ERRORS", "RATE", "AVG", "MIN", "MAX", "P50", "P90", "P95", "P99", "P999"})
    CHECK(has(series, head));
  CHECK(has(series, "/api/v1"));
  CHECK(has(series, "of-yesterday"));
  for (const auto* narrow : {"latency today", "daily today", "routes today", "features today",
                             "series today --metrics all", "summary --include all"})
    CHECK_FALSE(on_terminal(narrow).empty());
  CHECK(has(on_terminal("series today --metrics all"), "\ntotal            2       1  50.00 %"));
}
