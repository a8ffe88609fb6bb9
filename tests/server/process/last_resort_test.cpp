// The last resort ends a process: each case in one of its own.

#include "server/process/last_resort.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/own_process.hpp"

#include <unistd.h>

#include <functional>
#include <semaphore>
#include <string>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// Runs `work` in a process of its own, with a pipe for words; waits a second behind it.
ended_process run(const std::function<void(last_resort&, int)>& work) {
  return in_own_process([&](int words) {
    last_resort resort;
    work(resort, words);
    std::binary_semaphore never{0};
    [[maybe_unused]] bool woken = never.try_acquire_for(1s);
  });
}

/// Both words as one line each.
last_resort::last_words words_to(int fd) {
  auto line = [](const char* which, const exit_report& report) {
    return std::string{which} + " " + std::to_string(static_cast<int>(report.code)) + " "
           + std::string{to_string(report.mode)} + " " + std::string{to_string(report.reason)} + " "
           + report.detail + "\n";
  };
  return {.say = [=](const exit_report& report) { write_to(fd, line("say", report)); },
          .keep = [=](const exit_report& report) { write_to(fd, line("keep", report)); }};
}

exit_report draft() {
  return {.mode = stop_mode::graceful,
          .reason = stop_reason::terminate,
          .detail = "d",
          .began = clock::now()};
}

[[noreturn]] void block() {
  for (;;)
    ::pause();
}

} // namespace

TEST_CASE("last resort: at the time, and not before, with its words first") {
  auto ended = run([](last_resort& resort, int words) {
    resort.set_last_words(words_to(words));
    resort.keep(draft());
    resort.arm(clock::now() + 150ms);
  });
  CHECK(ended.status == 81);
  CHECK(ended.took >= 150ms);
  CHECK(ended.took < 1s);
  CHECK(ended.words == "say 81 graceful terminate d\nkeep 81 graceful terminate d\n");
}

TEST_CASE("last resort: unarmed or disarmed it does nothing, and its time can be moved") {
  auto idle = run([](last_resort& resort, int words) { resort.set_last_words(words_to(words)); });
  CHECK(idle.status == outlived);
  CHECK(idle.words == "");
  auto disarmed = run([](last_resort&, int) {
    last_resort other;
    other.arm(clock::now() + 200ms);
  });
  CHECK(disarmed.status == outlived);
  auto later = run([](last_resort& resort, int) {
    resort.arm(clock::now() + 50ms);
    resort.arm(clock::now() + 300ms); // there was progress
  });
  CHECK(later.status == 81);
  CHECK(later.took >= 300ms);
}

TEST_CASE("last resort: a user's third signal ends it now, and is the reason") {
  auto ended = run([](last_resort& resort, int words) {
    resort.set_last_words(words_to(words));
    resort.keep(draft());
    resort.arm(clock::now() + 60s);
    resort.leave_now();
  });
  CHECK(ended.status == 82);
  CHECK(ended.took < 1s);
  CHECK(ended.words.starts_with("say 82 immediate "));
  CHECK(ended.words.find(" " + std::string{to_string(stop_reason::user_forced)} + " d\n")
        != std::string::npos);
}

TEST_CASE("last resort: without a supervisor it ends at once, and says of what") {
  auto ended = run([](last_resort& resort, int words) {
    resort.set_last_words(words_to(words));
    resort.leave_orphaned("it threw");
  });
  CHECK(ended.status == 80);
  CHECK(
    ended.words.find(std::string{to_string(stop_reason::child_died)} + " supervisor: it threw\n")
    != std::string::npos);
}

TEST_CASE("last resort: a stop that is over leaves with its own code and without a word") {
  auto ended = run([](last_resort& resort, int words) {
    resort.set_last_words(words_to(words));
    resort.arm(clock::now() + 60s);
    resort.leave_quietly(clock::now() + 100ms, exit_code::forced_by_deadline);
  });
  CHECK(ended.status == 81);
  CHECK(ended.took >= 100ms);
  CHECK(ended.words == "");
  auto pressed = run([](last_resort& resort, int words) {
    resort.set_last_words(words_to(words));
    resort.leave_quietly(clock::now() + 60s, exit_code::clean);
    resort.leave_now(); // does not make a clean stop a forced one
  });
  CHECK(pressed.status == 0);
  CHECK(pressed.took < 1s);
  CHECK(pressed.words == "");
}

TEST_CASE("last resort: words that never end hold it up for their limit only") {
  auto mute = run([](last_resort& resort, int) {
    resort.set_last_words({.say = [](const exit_report&) { block(); }});
    resort.leave_now();
  });
  CHECK(mute.status == 82);
  CHECK(mute.took >= last_resort::say_limit);
  CHECK(mute.took < 900ms);
  auto stuck_disk = run([](last_resort& resort, int words) {
    resort.set_last_words(
      {.say = words_to(words).say, .keep = [](const exit_report&) { block(); }});
    resort.leave_now();
  });
  CHECK(stuck_disk.status == 82);
  CHECK(stuck_disk.took < 900ms);
  CHECK(stuck_disk.words.starts_with("say 82 "));
}

TEST_CASE("last resort: words end with the scope of what they need") {
  auto ended = run([](last_resort& resort, int words) {
    { last_words_scope scope{resort, words_to(words)}; }
    resort.leave_now();
  });
  CHECK(ended.status == 82);
  CHECK(ended.words == "");
}
