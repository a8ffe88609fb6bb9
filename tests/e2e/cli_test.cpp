// The command line: what it teaches, what it checks, and what it says about bad settings.

#include "tests/support/doctest.hpp"
#include "tests/support/service_process.hpp"

#include <fstream>

using namespace phi::testing;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

} // namespace

TEST_CASE("--help teaches: options, an example, the exit statuses") {
  auto help = run_program({binary(), "--help"});
  CHECK(help.code == 0);
  for (auto part : {"--config", "--check", "--print-config", "--version",
                    "Example:", "Exit status:", "APP_SERVER_PORT",
                    "80  an actor died and could not be restarted", "81  forced by the deadline",
                    "82  forced by the user", "83  stopped, but events are unaccounted for"})
    CHECK_MESSAGE(has(help.out, part), part);
  CHECK(has(run_program({binary(), "--version"}).out, "phi-backend 0."));
}

TEST_CASE("a wrong option is a usage error: code 2") {
  auto wrong = run_program({binary(), "--confg", "x"});
  CHECK(wrong.code == 2);
  CHECK(has(wrong.out + wrong.err, "--confg"));
}

TEST_CASE("--check finds every mistake, with file and line, and starts nothing") {
  temp_dir dir;
  std::ofstream{dir.path("c.toml")} << "[server]\nprot = 1\n[stats]\ntimezone = 5\n";
  auto check = run_program({binary(), "--config", dir.path("c.toml"), "--check"});
  CHECK(check.code == 2);
  CHECK(has(check.err, dir.path("c.toml") + ":2"));
  CHECK(has(check.err, "did you mean server.port?"));
  CHECK(has(check.err, "stats.timezone: expected a text"));
  std::ofstream{dir.path("good.toml")} << "[server]\nport = 0\n";
  CHECK(run_program({binary(), "--config", dir.path("good.toml"), "--check"}).code == 0);
  auto zone = run_program({binary(), "--check"}, {{"APP_STATS_TIMEZONE", "Europe/Berln"}});
  CHECK(zone.code == 2);
  CHECK(has(zone.err, "did you mean Europe/Berlin?"));
  auto proxy = run_program({binary(), "--check"}, {{"APP_SERVER_TRUSTED_PROXIES", "10.0.0.0/99"}});
  CHECK(proxy.code == 2);
  CHECK(has(proxy.err, "server.trusted_proxies"));
}

TEST_CASE("--check finds what only a start on this machine would stumble over") {
  temp_dir dir;
  auto said = [&](settings env) {
    env["APP_SERVER_STATE_DIR"] = dir.path();
    auto check = run_program({binary(), "--check"}, env);
    CHECK(check.code == 2);
    CHECK_FALSE(has(check.out, "The configuration is fine."));
    return check.err;
  };
  CHECK(
    has(said({{"APP_STATS_TIMEZONE", "x/y"}, {"APP_AUTH_TOKEN", "t"}}), "is no IANA time zone"));
  CHECK(has(said({{"APP_SERVER_HOST", "203.0.113.77"}, {"APP_AUTH_TOKEN", "t"}}),
            "a start here would fail: cannot listen on 203.0.113.77:0: "));
  CHECK(has(said({{"APP_ADMIN_GROUP", "no-such-group"}}),
            R"(a start here would fail: admin.group = "no-such-group": there is no such group)"));
  settings postgres{{"APP_STATS_STORAGE", "postgres"}};
  postgres["APP_STATS_POSTGRES_URL"] = "postgresql://phi:geheim@db/phi?schema=public";
  auto url = said(postgres);
  CHECK(has(url, "environment APP_STATS_POSTGRES_URL: stats.postgres_url cannot be read: "));
  CHECK(has(url, "\"schema\""));
  CHECK_FALSE(has(url, "geheim"));
  std::ofstream{dir.path("tokens.json")} << "{";
  CHECK(has(said({}), "a start here would fail: cannot read the tokens in "));
}

TEST_CASE("--check says what of the URL of PostgreSQL has no effect") {
  temp_dir dir;
  auto check = [&](const std::string& parameters) {
    return run_program({binary(), "--check"},
                       {{"APP_SERVER_STATE_DIR", dir.path()},
                        {"APP_STATS_STORAGE", "postgres"},
                        {"APP_STATS_POSTGRES_URL", "postgresql://phi@db/phi" + parameters}});
  };
  auto with_timeout = check("?connect_timeout=100");
  CHECK(with_timeout.code == 0);
  CHECK(has(with_timeout.err, "stats.postgres_url has a connect_timeout, which has no effect"));
  auto without = check("?sslmode=require");
  CHECK(without.code == 0);
  CHECK_FALSE(has(without.err, "has no effect"));
}

TEST_CASE("--print-config shows values and origins, and no secret") {
  temp_dir dir;
  std::ofstream{dir.path("c.toml")} << "[server]\nport = 8080\n";
  auto print = run_program({binary(), "--config", dir.path("c.toml"), "--print-config"},
                           {{"APP_AUTH_TOKEN", "hush-hush"}, {"APP_SHUTDOWN_TIMEOUT_SECS", "5"}});
  CHECK(print.code == 0);
  CHECK(has(print.out, "server.port = 8080  # " + dir.path("c.toml") + ":2"));
  CHECK(has(print.out, "shutdown.timeout_secs = 5  # environment APP_SHUTDOWN_TIMEOUT_SECS"));
  CHECK(has(print.out, "auth.token = (set)"));
  CHECK_FALSE(has(print.out + print.err, "hush"));
}

TEST_CASE("other addresses than loopback without a token are refused") {
  auto open = run_program({binary(), "--check"}, {{"APP_SERVER_HOST", "0.0.0.0"}});
  CHECK(open.code == 2);
  CHECK(has(open.err, "auth.token"));
}

TEST_CASE(
  "log formats: json lines are JSON, compact and pretty are themselves, PHI_LOG sets the level") {
  for (auto [format, sign] : {std::pair{"json", "\"message\":\"is ready\""},
                              {"compact", " I supervisor is ready"},
                              {"pretty", "supervisor is ready"},
                              {"full", "Z info    supervisor is ready"}}) {
    CAPTURE(format);
    temp_dir dir;
    service_process service{
      dir.path(), {{"APP_LOGGING_FORMAT", format}, {"PHI_LOG", "debug"}}, false};
    CHECK(service.wait_for_log(sign));
    CHECK(service.wait_for_log("has started an actor"));
    CHECK(service.stop().code == 0);
  }
  temp_dir dir;
  service_process quiet{dir.path(), {{"APP_LOGGING_LEVEL", "error"}}, false};
  CHECK_FALSE(quiet.wait_for_log("is ready", std::chrono::milliseconds{300}));
  CHECK(quiet.stop().code == 0);
}
