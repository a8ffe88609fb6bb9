// Names that programs decide by.

#include "protocol/health.hpp"
#include "protocol/names.hpp"
#include "protocol/status.hpp"
#include "tests/support/doctest.hpp"

#include <set>
#include <string>

using namespace phi;
using namespace std::chrono_literals;

namespace {

/// How many different words the codes up to `last` have; what lies behind them has none.
template <class Code>
size_t words_up_to(Code last) {
  std::set<std::string_view> words;
  for (int i = 0; i <= static_cast<int>(last); ++i)
    words.insert(to_string(static_cast<Code>(i)));
  CHECK_FALSE(words.contains("unknown"));
  CHECK(to_string(static_cast<Code>(static_cast<int>(last) + 1)) == "unknown");
  return words.size();
}

} // namespace

TEST_CASE("names: no two codes of a kind have the same word, and there are no others") {
  CHECK(words_up_to(work_code::close_database) == 3);
  CHECK(words_up_to(exit_trouble::killed) == 4);
  CHECK(words_up_to(instance_wish::ready) == 2);
  CHECK(words_up_to(wait_kind::work) == 3);
  CHECK(words_up_to(actor_state::gone) == 6);
  CHECK(words_up_to(exit_state::gone) == 5);
  CHECK(words_up_to(cause_kind::degraded) == 3);
  CHECK(words_up_to(ailment::no_connections) == 8);
  CHECK(words_up_to(finding_verdict::bad) == 3);
  CHECK(words_up_to(finding_code::last_exit_failed) == 24);
}

TEST_CASE("names: each actor and each part has one of its own") {
  std::set<std::string_view> names;
  for (auto name : actor_name::all)
    CHECK(names.insert(name).second);
  CHECK(names.size() == 12);
  CHECK(names.insert(part_name::public_listener).second);
  CHECK(part_name::event_loop(1) == "event_loop_1");
  CHECK(part_name::event_loop(12) == "event_loop_12");
}

TEST_CASE("names: a wish of another instance is one of two words") {
  for (auto wish : {instance_wish::drain, instance_wish::ready})
    CHECK(parse_instance_wish(to_string(wish)) == wish);
  for (const auto* other : {"", "Drain", "ready ", "unknown", "undrain"})
    CHECK_FALSE(parse_instance_wish(other));
}

TEST_CASE("names: work that is waited for is called in words of its own") {
  CHECK(std::string{describe(work_code::none)}.empty());
  auto wait = waited_for(work_code::commit, 3s);
  CHECK(wait.whom == "COMMIT");
  CHECK(wait.kind == wait_kind::work);
  CHECK(wait.work == work_code::commit);
  CHECK(wait.for_how_long == 3s);
  CHECK(waited_for(work_code::close_database, 1s).whom == "the database to close");
}

TEST_CASE("names: a gauge that an actor does not show is 0") {
  actor_status status{.gauges = {{gauge_name::events, 3}, {gauge_name::set_aside, 4}}};
  CHECK(status.gauge(gauge_name::events) == 3);
  CHECK(status.gauge(gauge_name::set_aside) == 4);
  CHECK(status.gauge(gauge_name::refusing) == 0);
}
