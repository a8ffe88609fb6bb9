// The vocabulary: every word has a text, and the documents print the same tables.

#include "protocol/errors.hpp"
#include "protocol/lifecycle.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/places.hpp"

#include <fstream>
#include <set>
#include <string>

using namespace phi;
using phi::testing::read_source;

TEST_CASE("every error has its own name, a title, and a 4xx or 5xx when it is an answer") {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(error_code::actor_failed); ++i) {
    const auto& about = facts(static_cast<error_code>(i));
    CHECK(names.insert(about.name).second);
    CHECK_FALSE(about.title.empty());
    CHECK((about.http_status == 0 || about.http_status == 200 || about.http_status >= 400));
  }
}

TEST_CASE("protocol/README.md prints the error table and the exit codes as they are") {
  auto text = read_source("protocol/README.md");
  for (int i = 1; i <= static_cast<int>(error_code::actor_failed); ++i) {
    const auto& about = facts(static_cast<error_code>(i));
    if (about.http_status != 0)
      CHECK_MESSAGE(text.find("| `" + std::string{about.name} + "` | "
                              + std::to_string(about.http_status) + " | " + std::string{about.title}
                              + " |")
                      != text.npos,
                    about.name);
  }
  for (int i = 0; i <= 6; ++i)
    CHECK(text.find("| " + std::to_string(i) + " | "
                    + std::string{describe(static_cast<exit_code>(i))} + " |")
          != text.npos);
}

TEST_CASE("modes are a ladder, and their names are understood") {
  CHECK(stop_mode::lame_duck < stop_mode::graceful);
  CHECK(stop_mode::graceful < stop_mode::fast);
  CHECK(stop_mode::fast < stop_mode::immediate);
  for (auto mode :
       {stop_mode::lame_duck, stop_mode::graceful, stop_mode::fast, stop_mode::immediate})
    CHECK(parse_stop_mode(to_string(mode)) == mode);
  CHECK_FALSE(parse_stop_mode("slowly"));
}
