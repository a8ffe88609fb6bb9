// Signals as a queue, with real ones: each case in a process of its own.

#include "server/platform/signals.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/own_process.hpp"
#include "tests/support/temp_dir.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <semaphore>
#include <string>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

void raise_here(int number) {
  ::kill(::getpid(), number);
}

bool is_pending(int number) {
  sigset_t pending;
  ::sigpending(&pending);
  return sigismember(&pending, number) == 1;
}

/// "SIGTERM graceful 1", "SIGHUP", or "SIGTERM again 1" for a wish that was known.
std::string line_of(const heard_signal& signal) {
  auto out = std::string{to_string(signal.kind)};
  if (signal.press > 0)
    out += " " + (signal.wish ? std::string{to_string(*signal.wish)} : "again") + " "
           + std::to_string(signal.press);
  return out + "\n";
}

/// Sends signals to itself, one after another, and writes what is heard of each.
std::string heard_of(std::initializer_list<int> numbers) {
  return in_own_process([&](int words) {
           block_signals();
           std::counting_semaphore<> heard{0};
           signal_source source{[&] { write_to(words, "emergency\n"); }};
           source.attach([&](const heard_signal& signal) {
             write_to(words, line_of(signal));
             heard.release();
           });
           for (int number : numbers) {
             raise_here(number);
             heard.acquire();
           }
         })
    .words;
}

} // namespace

TEST_CASE("signals: each is heard once, as what it asks for") {
  CHECK(heard_of({SIGHUP, SIGUSR1, SIGUSR2, SIGHUP}) == "SIGHUP\nSIGUSR1\nSIGUSR2\nSIGHUP\n");
  CHECK(heard_of({SIGTERM}) == "SIGTERM graceful 1\n");
  CHECK(heard_of({SIGINT}) == "SIGINT graceful 1\n");
  CHECK(heard_of({SIGQUIT}) == "SIGQUIT fast 1\n");
}

TEST_CASE("signals: those that came before anybody listened, or while nobody did, are kept") {
  auto ended = in_own_process([](int words) {
    block_signals();
    raise_here(SIGUSR2); // before there is a source
    std::counting_semaphore<> heard{0};
    signal_source source{[] {}};
    auto listener = [&](const std::string& name) {
      return [&heard, words, name](const heard_signal& signal) {
        write_to(words, name + line_of(signal));
        heard.release();
      };
    };
    auto wait_until_read = [](int number) {
      return eventually([=] { return !is_pending(number); }, 5s);
    };
    wait_until_read(SIGUSR2);
    raise_here(SIGHUP);
    wait_until_read(SIGHUP);
    source.attach(listener(""));
    heard.acquire();
    heard.acquire();
    source.attach({}); // who listened has died
    raise_here(SIGUSR1);
    wait_until_read(SIGUSR1);
    source.attach(listener("heir "));
    heard.acquire();
  });
  CHECK(ended.status == outlived);
  CHECK(ended.words == "SIGUSR2\nSIGHUP\nheir SIGUSR1\n");
}

TEST_CASE("signals: the third wish for a stop is an emergency, whether anybody listens or not") {
  for (bool listens : {true, false}) {
    auto ended = in_own_process([&](int words) {
      block_signals();
      std::binary_semaphore over{0};
      signal_source source{[&] {
        write_to(words, "emergency\n");
        over.release();
      }};
      if (listens)
        source.attach([&](const heard_signal& signal) {
          if (signal.wish)
            write_to(words, line_of(signal));
        });
      raise_here(SIGHUP); // no wish for a stop
      while (!over.try_acquire_for(10ms))
        raise_here(SIGTERM); // whatever comes within 200 ms of one that counts is the same wish
    });
    CHECK(ended.status == outlived);
    CHECK(ended.took >= 400ms);
    CHECK(ended.words.starts_with(listens ? "SIGTERM graceful 1\nSIGTERM fast 2\nemergency\n"
                                          : "emergency\n"));
  }
}

TEST_CASE("signals: blocked ones end nothing, and act when they are unblocked") {
  for (int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2}) {
    CAPTURE(number);
    auto ended = in_own_process([&](int words) {
      rlimit no_core{0, 0};
      ::setrlimit(RLIMIT_CORE, &no_core);
      block_signals();
      raise_here(number);
      write_to(words, "is there");
      unblock_signals();
      write_to(words, " for ever");
    });
    CHECK(ended.status == 128 + number);
    CHECK(ended.words == "is there");
  }
}

TEST_CASE("signals: a reader that has gone and a file that is full are errors of the write") {
  temp_dir dir;
  auto ended = in_own_process([&](int words) {
    block_signals();
    int ends[2] = {-1, -1};
    [[maybe_unused]] auto made = ::pipe2(ends, O_CLOEXEC);
    ::close(ends[0]);
    if (::write(ends[1], "x", 1) < 0 && errno == EPIPE)
      write_to(words, "gone ");
    int file = ::open(dir.path("file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    rlimit limit{4, 4};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    if (::write(file, "1234", 4) == 4 && ::write(file, "5", 1) < 0 && errno == EFBIG)
      write_to(words, "full");
  });
  CHECK(ended.status == outlived);
  CHECK(ended.words == "gone full");
}
