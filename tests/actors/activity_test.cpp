// What is seen of an actor that can no longer say it.

#include "actors/activity.hpp"
#include "protocol/platform/process.hpp"
#include "tests/support/doctest.hpp"

#include <string>
#include <thread>

using namespace phi;
using namespace std::chrono_literals;

namespace {

const auto commit = caf::atom("commit");
const auto ping = caf::atom("ping");
const auto status = caf::atom("status");

} // namespace

TEST_CASE("activity: idle, in a handler, in a piece of work of it") {
  activity seen;
  CHECK(seen.show() == "idle");
  CHECK_FALSE(seen.busy());
  CHECK(seen.thread() == 0);
  seen.handler_began(commit);
  CHECK(seen.show().starts_with("handling commit for "));
  CHECK(seen.busy());
  CHECK(seen.work() == work_code::none);
  CHECK(seen.thread() == thread_id());
  {
    activity_scope outer{seen, "COMMIT", work_code::commit};
    CHECK(seen.show().starts_with("COMMIT for "));
    CHECK(seen.work() == work_code::commit);
    {
      activity_scope inner{seen, "closing", work_code::close_database};
      CHECK(seen.show().starts_with("closing for "));
      CHECK(seen.work() == work_code::close_database);
    }
    CHECK(seen.show().starts_with("COMMIT for ")); // what it did before goes on
    CHECK(seen.work() == work_code::commit);
  }
  CHECK(seen.show().starts_with("handling commit for "));
  CHECK(seen.work() == work_code::none);
  seen.handler_ended();
  CHECK(seen.show() == "idle");
  CHECK_FALSE(seen.busy());
}

TEST_CASE("activity: how long counts from the beginning of the piece of work") {
  activity seen;
  auto shown_for = [&] { // in ms, to half a ms
    auto text = seen.show();
    auto value = std::stod(text.substr(text.find(" for ") + 5));
    return text.ends_with(" ms") ? value : value * 1000;
  };
  auto ms_since = [](time_point began) {
    return std::chrono::duration<double, std::milli>(clock::now() - began).count();
  };
  auto began = clock::now();
  seen.handler_began(commit);
  while (clock::now() - began < 12ms)
    std::this_thread::yield();
  CHECK(shown_for() >= 11);
  began = clock::now();
  seen.begin("COMMIT");
  auto shown = shown_for();
  CHECK(shown <= ms_since(began) + 1);
}

TEST_CASE("activity: progress is work done and each look for a reason to end, not a message") {
  activity seen;
  seen.handler_began(commit);
  seen.handler_ended();
  CHECK(seen.progress() == 0);
  { activity_scope work{seen, "COMMIT"}; }
  CHECK(seen.progress() == 1);
  CHECK(seen.check() == end_cause::none);
  CHECK(seen.progress() == 2);
}

TEST_CASE("activity: a stop presses, ever harder, and is not undone") {
  activity seen;
  CHECK(seen.pressed() == urge::none);
  seen.press(urge::stop);
  CHECK(seen.pressed() == urge::stop);
  CHECK(seen.check() == end_cause::stopping);
  seen.press(urge::at_once);
  seen.press(urge::stop);
  seen.press(urge::none);
  CHECK(seen.pressed() == urge::at_once);
  CHECK(seen.check() == end_cause::stopping);
}

TEST_CASE("activity: the last message is none that asks how it is") {
  activity seen;
  CHECK(seen.last_message().empty());
  for (auto message : {ping, status}) {
    seen.handler_began(message);
    seen.handler_ended();
    CHECK(seen.last_message().empty());
  }
  seen.handler_began(commit);
  CHECK(seen.last_message().empty()); // it is not handled yet
  seen.handler_ended();
  CHECK(seen.last_message() == "commit");
  seen.handler_began(ping);
  seen.handler_ended();
  CHECK(seen.last_message() == "commit");
}

TEST_CASE(
  "activity: what others must see is shown after each handler, by the latest in its place") {
  activity seen;
  int first = 0;
  int second = 0;
  seen.after_each_handler([&] { ++first; });
  seen.handler_began(ping);
  CHECK(first == 0);
  seen.handler_ended();
  CHECK(first == 1);
  seen.after_each_handler([&] { ++second; });
  seen.handler_began(commit);
  seen.handler_ended();
  CHECK(first == 1);
  CHECK(second == 1);
}

TEST_CASE("activity: whom it waits for, its own waits first, and nobody any more") {
  activity seen;
  CHECK(seen.waits().empty());
  seen.waits_for("store", clock::now() - 3s);
  seen.learn_waits_from([] {
    return std::vector<waited>{{"client 127.0.0.1:1", 2s, wait_kind::client}};
  });
  auto waits = seen.waits();
  REQUIRE(waits.size() == 2);
  CHECK(waits[0].whom == "store");
  CHECK(waits[0].kind == wait_kind::actor);
  CHECK(waits[0].for_how_long >= 3s);
  CHECK(waits[0].for_how_long < 60s);
  CHECK(waits[1].whom == "client 127.0.0.1:1");
  CHECK(waits[1].kind == wait_kind::client);
  seen.waits_for(nullptr);
  CHECK(seen.waits().size() == 1);
  seen.learn_waits_from({});
  CHECK(seen.waits().empty());
}

TEST_CASE("activity: of work only what falls into the stop counts, from the first word of it") {
  activity seen;
  CHECK(seen.in_the_stop(clock::now() - 10s) == duration::zero());
  auto before = clock::now();
  seen.stop_begins();
  auto at = clock::now();
  while (clock::now() - at < 5ms)
    std::this_thread::yield();
  auto middle = clock::now();
  seen.stop_begins(); // said once more it changes nothing
  auto long_before = seen.in_the_stop(before - 10s);
  CHECK(long_before >= 5ms);
  CHECK(long_before <= clock::now() - before);
  auto rest = seen.in_the_stop(middle);
  CHECK(rest <= clock::now() - middle);
}

TEST_CASE("activity: another thread sees who runs it, and what") {
  activity seen;
  int ran = 0;
  std::thread actor{[&] {
    ran = thread_id();
    seen.handler_began(commit);
    seen.begin("COMMIT", work_code::commit);
  }};
  actor.join();
  CHECK(seen.thread() == ran);
  CHECK(seen.thread() != thread_id());
  CHECK(seen.show().starts_with("COMMIT for "));
}
