#include "protocol/lifecycle.hpp"
#include "tests/support/doctest.hpp"

#include <csignal>
#include <set>
#include <string>

using namespace phi;

TEST_CASE("modes are a ladder, and their names are understood") {
  CHECK(stop_mode::lame_duck < stop_mode::graceful);
  CHECK(stop_mode::graceful < stop_mode::fast);
  CHECK(stop_mode::fast < stop_mode::immediate);
  for (auto mode :
       {stop_mode::lame_duck, stop_mode::graceful, stop_mode::fast, stop_mode::immediate})
    CHECK(parse_stop_mode(to_string(mode)) == mode);
  CHECK(parse_stop_mode("lame-duck") == stop_mode::lame_duck); // as phictl has it
  for (const auto* other : {"slowly", "", "Fast", "fast ", "lame duck"})
    CHECK_FALSE(parse_stop_mode(other));
}

TEST_CASE("each signal is called as everybody calls it") {
  for (auto [kind, name] :
       {std::pair{signal_kind::terminate, "SIGTERM"}, std::pair{signal_kind::interrupt, "SIGINT"},
        std::pair{signal_kind::quit, "SIGQUIT"}, std::pair{signal_kind::reload, "SIGHUP"},
        std::pair{signal_kind::dump, "SIGUSR1"}, std::pair{signal_kind::lame_duck, "SIGUSR2"}})
    CHECK(to_string(kind) == name);
}

TEST_CASE("each end of the process has a status, a word and a sentence of its own") {
  std::set<int> numbers;
  std::set<std::string_view> words;
  std::set<std::string_view> sentences;
  for (auto code : exit_codes) {
    CHECK(numbers.insert(static_cast<int>(code)).second);
    CHECK(words.insert(to_string(code)).second);
    CHECK(sentences.insert(describe(code)).second);
  }
  CHECK_FALSE(words.contains("unknown"));
  CHECK(numbers.size() == 7);
  auto other = static_cast<exit_code>(3); // of a later version, in a file of its
  CHECK(to_string(other) == "unknown");
  CHECK(describe(other) == "unknown");
}

TEST_CASE("who has heard nothing has heard no wish") {
  heard_signal nothing;
  CHECK_FALSE(nothing.wish);
  CHECK(nothing.press == 0);
}

TEST_CASE("what happens to the service has a name, and the name means it") {
  for (auto kind : life_kinds)
    CHECK(parse_life_kind(to_string(kind)) == kind);
  CHECK_FALSE(parse_life_kind("unknown"));
  CHECK_FALSE(parse_life_kind(""));
}
