// The table of all keys.

#include "config/keys.hpp"
#include "config/loader.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

#include <algorithm>
#include <set>

using namespace phi;
using phi::testing::temp_dir;
using phi::testing::write_text;

namespace {

const config_key& key_of(std::string_view path) {
  auto keys = all_keys();
  auto found =
    std::find_if(keys.begin(), keys.end(), [&](const auto& key) { return key.path == path; });
  REQUIRE(found != keys.end());
  return *found;
}

std::string shown(std::string_view path, const config& values) {
  return show_value(key_of(path), values);
}

} // namespace

TEST_CASE("keys: each has one place, a sentence, and a default that may be set") {
  std::set<std::string_view> paths;
  std::set<const void*> places;
  config values;
  for (const auto& key : all_keys()) {
    CAPTURE(std::string{key.path});
    CHECK(paths.insert(key.path).second);
    auto place = key.in(values);
    std::visit([&](auto* value) { CHECK(places.insert(value).second); }, place);
    CHECK(key.help.ends_with('.'));
    if (auto* const* number = std::get_if<int64_t*>(&place)) {
      CHECK(key.min < key.max);
      CHECK(**number >= key.min);
      CHECK(**number <= key.max);
    } else {
      CHECK(key.max == 0); // a bound says nothing of a text
    }
    auto* const* text = std::get_if<std::string*>(&place);
    if (!key.choices.empty()) {
      REQUIRE(text);
      CHECK(std::count(key.choices.begin(), key.choices.end(), **text) == 1);
    }
  }
}

TEST_CASE("keys: reserved ones are none that have an effect") {
  std::set<std::string_view> names;
  for (auto name : reserved_keys()) {
    CHECK(names.insert(name).second);
    for (const auto& key : all_keys())
      CHECK(key.path != name);
  }
}

TEST_CASE("keys: the name in the environment") {
  CHECK(environment_name("server.port") == "APP_SERVER_PORT");
  CHECK(environment_name("shutdown.watchdog.timeout_secs") == "APP_SHUTDOWN_WATCHDOG_TIMEOUT_SECS");
}

TEST_CASE("keys: a value is shown as it is written in the file") {
  config values;
  values.server.port = 0;
  values.server.host = R"(a"b\c)";
  values.server.trusted_proxies = {"10.0.0.0/8", R"(")"};
  values.logging.access = true;
  CHECK(shown("server.port", values) == "0");
  CHECK(shown("server.host", values) == R"("a\"b\\c")");
  CHECK(shown("server.trusted_proxies", values) == R"(["10.0.0.0/8", "\""])");
  CHECK(shown("cors.allowed_origins", values) == "[]");
  CHECK(shown("logging.access", values) == "true");
  CHECK(shown("stats.start_at", values) == R"("")");
  CHECK(shown("shutdown.watchdog.abort", values) == "false");
}

TEST_CASE("keys: a text that is shown can be put into the file as it is") {
  temp_dir dir;
  for (std::string text :
       {std::string{"two\nlines\r\t"}, std::string{"\x1b[2J\x7f"}, std::string{"\0", 1},
        std::string{"Gr\u00fc\u00dfe \"\\\\n\""}, std::string{"\\u0041"}}) {
    CAPTURE(text);
    config values;
    values.server.instance = text;
    values.cors.allowed_origins = {text, "x"};
    write_text(dir.path("phi.toml"),
               "[server]\ninstance = " + shown("server.instance", values)
                 + "\n[cors]\nallowed_origins = " + shown("cors.allowed_origins", values) + "\n");
    auto loaded = load_config(dir.path("phi.toml"), {}).values;
    CHECK(loaded.server.instance == text);
    CHECK(loaded.cors.allowed_origins == values.cors.allowed_origins);
  }
}

TEST_CASE("keys: of a secret is shown whether it is set, and never more") {
  config values;
  for (const auto* path : {"auth.token", "stats.postgres_url", "stats.user_hash_salt"}) {
    CAPTURE(path);
    CHECK(shown(path, values) == "(not set)");
    std::get<secret*>(key_of(path).in(values))->value = "hush";
    CHECK(shown(path, values) == "(set)");
  }
}
