#include "config/keys.hpp"
#include "config/loader.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/places.hpp"
#include "tests/support/temp_dir.hpp"

#include <cstdio>
#include <fstream>
#include <set>
#include <unistd.h>

using namespace phi;
using phi::testing::read_source;

namespace {

/// A configuration file for the length of a test.
class config_file {
public:
  explicit config_file(const std::string& text) {
    char name[] = "/tmp/phi-config-XXXXXX";
    int fd = ::mkstemp(name);
    path_ = name;
    std::ofstream{path_} << text;
    if (fd >= 0)
      ::close(fd);
  }
  ~config_file() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

private:
  std::string path_;
};

std::string problems_of(const loaded_config& loaded) {
  std::string out;
  for (const auto& problem : loaded.problems)
    out += problem.text + "\n";
  return out;
}

std::string load_problems(const std::string& text) {
  config_file file{text};
  return problems_of(load_config(file.path(), {}));
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

} // namespace

TEST_CASE("the annotated config.toml loads and holds the built-in defaults, every key of them") {
  auto file = phi::testing::source_path("config/config.toml");
  auto loaded = load_config(file, {});
  CHECK(problems_of(loaded) == "");
  CHECK(loaded.warnings.empty());
  config defaults;
  auto text = read_source("config/config.toml");
  for (const auto& key : all_keys()) {
    CAPTURE(std::string{key.path});
    CHECK(show_value(key, loaded.values) == show_value(key, defaults));
    auto name = std::string{key.path.substr(key.path.rfind('.') + 1)};
    CHECK((has(text, "\n" + name + " = ") || has(text, "\n# " + name + " = ")));
  }
}

TEST_CASE("the reference in config/README.md has every key, its default and its sentence") {
  auto text = read_source("config/README.md");
  config defaults;
  for (const auto& key : all_keys()) {
    CAPTURE(std::string{key.path});
    CHECK(has(text, "| `" + std::string{key.path} + "` | `" + show_value(key, defaults) + "` | "
                      + std::string{key.help} + " |"));
  }
}

TEST_CASE("each key can be set from the environment by its known name") {
  std::set<std::string> names;
  for (const auto& key : all_keys())
    CHECK(names.insert(environment_name(key.path)).second);
  CHECK(names.contains("APP_SHUTDOWN_TIMEOUT_SECS"));
  CHECK(names.contains("APP_SHUTDOWN_WATCHDOG_ENABLED"));
  auto loaded = load_config("", {{"APP_SHUTDOWN_TIMEOUT_SECS", "7"},
                                 {"APP_SHUTDOWN_WATCHDOG_ENABLED", "true"},
                                 {"APP_CORS_ALLOWED_ORIGINS", "https://a,https://b"},
                                 {"HOME", "/x"}});
  CHECK(loaded.ok());
  CHECK(loaded.values.shutdown.timeout_secs == 7);
  CHECK(loaded.values.shutdown.watchdog.enabled);
  CHECK(loaded.values.cors.allowed_origins.size() == 2);
  CHECK(loaded.origins["shutdown.timeout_secs"] == "environment APP_SHUTDOWN_TIMEOUT_SECS");
  CHECK(loaded.origins["server.port"] == "default");
}

TEST_CASE("the environment wins over the file, the file over the default") {
  config_file file{"[server]\nport = 1000\nthreads = 2\n"};
  auto loaded = load_config(file.path(), {{"APP_SERVER_PORT", "2000"}});
  CHECK(loaded.values.server.port == 2000);
  CHECK(loaded.values.server.threads == 2);
  CHECK(loaded.origins["server.threads"] == file.path() + ":3");
}

TEST_CASE("an unknown key, section or name in the environment is told with a suggestion") {
  CHECK(has(load_problems("[server]\nprot = 1\n"),
            "unknown key server.prot; did you mean server.port?"));
  CHECK(has(load_problems("[sever]\nport = 1\n"), "unknown section [sever]; did you mean server?"));
  auto loaded = load_config("", {{"APP_SERVER_PROT", "1"}});
  CHECK(loaded.ok());
  REQUIRE(loaded.warnings.size() == 1);
  CHECK(has(loaded.warnings[0], "did you mean APP_SERVER_PORT?"));
}

TEST_CASE("a wrong value shows file, line and the offending text, and says what would be right") {
  config_file file{"[server]\n\nport = \"many\"\n"};
  auto text = problems_of(load_config(file.path(), {}));
  CHECK(has(text, file.path() + ":3: server.port: expected a whole number from 0 to 65535"));
  CHECK(has(text, "port = \"many\""));
  CHECK(has(text, "^^^"));
  CHECK(has(load_problems("[server]\nport = 70000\n"), "from 0 to 65535"));
  CHECK(has(load_problems("[logging]\nlevel = \"loud\"\n"), "one of \"trace\", \"debug\""));
  CHECK(has(load_problems("[stats]\nenabled = 1\n"), "expected true or false"));
  CHECK(has(load_problems("[cors]\nallowed_origins = \"x\"\n"), "expected a list of texts"));
  CHECK(has(load_problems("[server\n"), ":1: not valid TOML"));
  CHECK(has(problems_of(load_config("/nowhere/config.toml", {})), "cannot read"));
  CHECK(has(problems_of(load_config("", {{"APP_SERVER_PORT", "1x"}})),
            "APP_SERVER_PORT: expected a whole number"));
}

TEST_CASE("a value that reads well and cannot be shows where it comes from as well") {
  config_file file{"[api]\nprefix = \"api/\"\n[stats]\nstart_at = \"soon\"\n"};
  auto text = problems_of(load_config(file.path(), {}));
  CHECK(has(text, file.path() + ":2: api.prefix = \"api/\" must begin with /"));
  CHECK(has(text, file.path() + ":4: stats.start_at = \"soon\" is no RFC 3339 time"));
  CHECK(has(problems_of(load_config("", {{"APP_API_PREFIX", "x"}})),
            "environment APP_API_PREFIX: api.prefix = \"x\" must"));
}

TEST_CASE("all problems are told, not only the first") {
  auto text = load_problems("[server]\nport = -1\nthreads = 0\nnonsense = 1\n");
  CHECK(has(text, "server.port"));
  CHECK(has(text, "server.threads"));
  CHECK(has(text, "server.nonsense"));
}

TEST_CASE("impossible combinations are refused with their remedy") {
  auto wrong = [](const environment& env) { return problems_of(load_config("", env)); };
  CHECK(has(wrong({{"APP_SERVER_HOST", "0.0.0.0"}}), "auth.token"));
  CHECK(wrong({{"APP_SERVER_HOST", "0.0.0.0"}, {"APP_AUTH_TOKEN", "x"}}) == "");
  CHECK(wrong({{"APP_SERVER_HOST", "0.0.0.0"}, {"APP_AUTH_ALLOW_ANONYMOUS", "true"}}) == "");
  CHECK(wrong({{"APP_SERVER_HOST", "::1"}}) == "");
  CHECK(has(wrong({{"APP_SHUTDOWN_HTTP_BUDGET_PERCENT", "90"}}), "add up to"));
  CHECK(has(wrong({{"APP_API_PREFIX", "api/"}}), "must begin with /"));
  CHECK(has(wrong({{"APP_STATS_START_AT", "soon"}}), "RFC 3339"));
  CHECK(has(wrong({{"APP_STATS_BUSY_TIMEOUT_MS", "30000"}}), "server.request_timeout_ms"));
  CHECK(has(wrong({{"APP_STATS_QUEUE_MAX_EVENTS", "10"}}), "queue_max_events"));
  CHECK(has(wrong({{"APP_SHUTDOWN_WATCHDOG_ENABLED", "true"},
                   {"APP_SHUTDOWN_WATCHDOG_INTERVAL_SECS", "50"}}),
            "interval_secs"));
}

TEST_CASE("an origin that no browser sends is refused, with how it is written") {
  for (const auto* good : {"*", "https://app.example", "http://localhost:3000", "http://[::1]:81",
                           "https://a.example:80", "http://a.example:443", "http://[::80]",
                           "app://obsidian.md", "null"}) {
    CAPTURE(good);
    CHECK(load_problems("[cors]\nallowed_origins = [\"" + std::string{good} + "\"]\n").empty());
  }
  for (const auto* bad : {"https://app.example/", "https://app.example/x", "app.example",
                          "https://App.example", "https://", "://x", "", "https://u@app.example"}) {
    CAPTURE(bad);
    CHECK(has(load_problems("[cors]\nallowed_origins = [\"" + std::string{bad} + "\"]\n"),
              "cors.allowed_origins = \"" + std::string{bad} + "\" is no origin"));
  }
}

TEST_CASE("an origin with the port that browsers leave out is refused, and null is warned of") {
  for (auto [origin, port] :
       {std::pair{"https://a.example:443", "443"}, {"http://a.example:80", "80"}}) {
    CHECK(has(load_problems("[cors]\nallowed_origins = [\"" + std::string{origin} + "\"]\n"),
              "cors.allowed_origins = \"" + std::string{origin}
                + "\" names the port that browsers leave out; write it without :" + port));
  }
  auto null = load_config("", {{"APP_CORS_ALLOWED_ORIGINS", "https://a.example,null"}});
  CHECK(null.ok());
  CHECK(null.warnings
        == std::vector<std::string>{
          "cors.allowed_origins has \"null\", which any page can be in a frame without an origin: "
          "it is treated as \"*\" is, without a browser's credentials"});
  CHECK(load_config("", {{"APP_CORS_ALLOWED_ORIGINS", "https://null.example"}}).warnings.empty());
}

TEST_CASE(
  "a limit for addresses is warned of where all may come through a proxy that nobody names") {
  auto warnings = [](environment env) {
    env.emplace_back("APP_SERVER_RATE_LIMIT_PER_ADDRESS", "10");
    return load_config("", env).warnings;
  };
  CHECK(warnings({})
        == std::vector<std::string>{
          "server.rate_limit.per_address counts all who come through a proxy as one client; name "
          "the proxy in server.trusted_proxies"});
  CHECK(warnings({{"APP_SERVER_TRUSTED_PROXIES", "127.0.0.1"}}).empty());
  CHECK(warnings({{"APP_SERVER_HOST", "0.0.0.0"}, {"APP_AUTH_TOKEN", "t"}}).empty());
  CHECK(load_config("", {{"APP_SERVER_RATE_LIMIT_PER_TOKEN", "10"}}).warnings.empty());
}

TEST_CASE("loopback is an address, and not what a name begins with") {
  auto wrong = [](const std::string& host) {
    return problems_of(load_config("", {{"APP_SERVER_HOST", host}}));
  };
  for (const auto* host : {"127.0.0.1", "127.255.255.254", "127.1", "::1", "0:0:0:0:0:0:0:1",
                           "::ffff:127.0.0.1", "localhost"}) {
    CAPTURE(host);
    CHECK(wrong(host) == "");
  }
  for (const auto* host :
       {"127.example.org", "127.0.0.1.example.org", "127.", "127.0.0.256", "localhost.example.org",
        "::ffff:128.0.0.1", "::ffff:10.0.0.1", "::", "0.0.0.0", "128.0.0.1"}) {
    CAPTURE(host);
    CHECK(has(wrong(host), "lets other machines in"));
  }
}

TEST_CASE("a secret comes from a file, and is never shown") {
  config_file secret{"hush\n"};
  auto loaded = load_config("", {{"APP_AUTH_TOKEN_FILE", secret.path()}});
  CHECK(loaded.values.auth.token.value == "hush");
  for (const auto& key : all_keys())
    CHECK_FALSE(has(show_value(key, loaded.values), "hush"));
  CHECK(has(problems_of(load_config("", {{"APP_AUTH_TOKEN_FILE", "/nowhere"}})),
            "cannot read a secret"));
}

TEST_CASE("keys of the original that have no effect yet are accepted with a warning") {
  config_file file{"[stats]\ndaily_aggregate_time = 180\n"};
  auto loaded = load_config(file.path(), {});
  CHECK(loaded.ok());
  REQUIRE(loaded.warnings.size() == 1);
  CHECK(has(loaded.warnings[0], "has no effect"));
}

TEST_CASE("paths are found from systemd's directories") {
  auto loaded =
    load_config("", {{"STATE_DIRECTORY", "/var/lib/phi"}, {"RUNTIME_DIRECTORY", "/run/phi"}});
  CHECK(loaded.values.resolved.sqlite_path == "/var/lib/phi/phi.db");
  CHECK(loaded.values.resolved.admin_socket == "/run/phi/admin.sock");
  auto plain = load_config("", {});
  CHECK(plain.values.resolved.sqlite_path == "./data/phi.db");
  CHECK(plain.values.resolved.admin_socket == "./data/admin.sock");
}

TEST_CASE("a secret file may come from another system: marks and ends of lines are no secret") {
  for (std::string text :
       {"hush", "hush\n", "hush\r\n", "\xef\xbb\xbfhush\r\n", "hush \t\r\nmore\r\n"})
    for (std::string name :
         {"APP_AUTH_TOKEN_FILE", "APP_STATS_USER_HASH_SALT_FILE", "APP_STATS_POSTGRES_URL_FILE"}) {
      CAPTURE(text);
      CAPTURE(name);
      config_file secret{text};
      auto loaded = load_config("", {{name, secret.path()}});
      const auto& values = loaded.values;
      CHECK((values.auth.token.value + values.stats.user_hash_salt.value
             + values.stats.postgres_url.value)
            == "hush");
    }
  for (std::string text : {std::string{}, std::string{"\r\n"}, std::string{"\xff\xfeh\0u\0", 6}})
    CHECK_FALSE(load_config("", {{"APP_AUTH_TOKEN_FILE", config_file{text}.path()}}).ok());
}

TEST_CASE("secrets come from the credentials that systemd gives, and the environment wins") {
  phi::testing::temp_dir credentials;
  auto dir = credentials.path();
  std::ofstream{dir + "/secrets_auth.token"} << "from-a-file\n";
  auto loaded = load_config("", {{"CREDENTIALS_DIRECTORY", dir}});
  CHECK(loaded.values.auth.token.value == "from-a-file");
  CHECK(loaded.origins.at("auth.token") == "credential auth.token");
  loaded = load_config("", {{"CREDENTIALS_DIRECTORY", dir}, {"APP_AUTH_TOKEN", "from-outside"}});
  CHECK(loaded.values.auth.token.value == "from-outside");
  std::ofstream{dir + "/secrets_auth.token", std::ios::trunc};
  CHECK(has(problems_of(load_config("", {{"CREDENTIALS_DIRECTORY", dir}})),
            "credential auth.token: cannot read a secret"));
}
