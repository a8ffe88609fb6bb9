// What a reload may change.

#include "config/keys.hpp"
#include "config/loader.hpp"
#include "config/merge.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/places.hpp"

#include <algorithm>

using namespace phi;
using phi::testing::read_source;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

using texts = std::vector<std::string>;

/// Another value of the same type.
struct changed_value {
  void operator()(bool* value) const { *value = !*value; }
  void operator()(int64_t* value) const { *value += 1; }
  void operator()(std::string* value) const { *value += "x"; }
  void operator()(secret* value) const { value->value += "x"; }
  void operator()(texts* value) const { value->push_back("x"); }
};

} // namespace

TEST_CASE("a reload takes what can change live, and keeps what needs a restart") {
  auto running = load_config("", {}).values;
  auto wanted = running;
  wanted.logging.level = "debug";
  wanted.server.max_body_bytes = 2048;
  wanted.auth.token.value = "new";
  wanted.server.port = 4000;
  wanted.stats.user_hash_salt.value = "other";
  auto merged = merge(running, wanted);
  CHECK(merged.changed.size() == 3);
  CHECK(merged.needs_restart.size() == 2);
  CHECK(merged.next.logging.level == "debug");
  CHECK(merged.next.auth.token.value == "new");
  CHECK(merged.next.server.port == running.server.port);
  CHECK(merged.next.stats.user_hash_salt.empty());
  for (const auto& change : merged.changed)
    CHECK_FALSE(has(change, "new")); // a secret is never shown
  CHECK(merge(running, running).changed.empty());
}

TEST_CASE("the keys that need a restart exist, and the reference lists exactly them") {
  auto reference = read_source("config/README.md");
  auto at = reference.find("## What a reload changes");
  REQUIRE(at != std::string::npos);
  auto section = reference.substr(at, reference.find("\n## ", at + 3) - at);
  size_t listed = 0;
  for (size_t tick = section.find('`'); tick != section.npos; ++listed)
    tick = section.find('`', section.find('`', tick + 1) + 1);
  CHECK(listed == restart_keys().size());
  for (auto path : restart_keys()) {
    CAPTURE(std::string{path});
    CHECK(has(section, "`" + std::string{path} + "`"));
    bool known = false;
    for (const auto& key : all_keys())
      known |= key.path == path;
    CHECK(known);
  }
}

TEST_CASE("a reload says what it changes in the words of the file, and of secrets only that") {
  config running;
  running.auth.token.value = "before";
  auto wanted = running;
  wanted.logging.level = "debug";
  wanted.cors.allowed_origins = {"https://a", "https://b"};
  wanted.auth.token.value = "after";
  wanted.server.threads = 4;
  wanted.admin.group = "operators";
  auto merged = merge(running, wanted);
  CHECK(merged.changed
        == texts{R"(cors.allowed_origins: [] -> ["https://a", "https://b"])",
                 "auth.token: (set) -> (set)", R"(logging.level: "info" -> "debug")"});
  CHECK(merged.needs_restart
        == texts{"server.threads: 1 -> 4", R"(admin.group: "" -> "operators")"});
}

TEST_CASE("a reload takes over each key, or keeps it for the restart, and no other with it") {
  const config running;
  auto fixed = restart_keys();
  for (const auto& key : all_keys()) {
    CAPTURE(std::string{key.path});
    auto wanted = running;
    std::visit(changed_value{}, key.in(wanted));
    auto merged = merge(running, wanted);
    bool needs_restart = std::find(fixed.begin(), fixed.end(), key.path) != fixed.end();
    CHECK(merged.changed.size() == (needs_restart ? 0 : 1));
    CHECK(merged.needs_restart.size() == (needs_restart ? 1 : 0));
    auto again = merge(merged.next, wanted); // what is in effect now
    CHECK(again.changed.empty());
    CHECK(again.needs_restart == merged.needs_restart); // told until there is a restart
    auto back = merge(running, merged.next);
    CHECK(back.changed == merged.changed);
    CHECK(back.needs_restart.empty());
  }
}

TEST_CASE("a reload moves no file, but the day that counting begins with") {
  config running;
  running.resolved.state_dir = "/var/lib/phi";
  running.resolved.sqlite_path = "/var/lib/phi/phi.db";
  running.resolved.start_at_us = 1;
  auto wanted = running;
  wanted.resolved.state_dir = "/elsewhere";
  wanted.resolved.sqlite_path = "/elsewhere/phi.db";
  wanted.resolved.durability = durability::queued;
  wanted.resolved.start_at_us = 2;
  auto next = merge(running, wanted).next.resolved;
  CHECK(next.state_dir == "/var/lib/phi");
  CHECK(next.sqlite_path == "/var/lib/phi/phi.db");
  CHECK(next.durability == durability::full);
  CHECK(next.start_at_us == 2);
  wanted.resolved.start_at_us.reset();
  CHECK_FALSE(merge(running, wanted).next.resolved.start_at_us);
}
