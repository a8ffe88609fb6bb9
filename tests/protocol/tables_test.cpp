// The vocabulary: every word has a text, and the documents print the same tables.

#include "protocol/errors.hpp"
#include "protocol/lifecycle.hpp"
#include "protocol/names.hpp"
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
}

namespace {

/// The codes of an enum whose last value is `last`, as the README prints them.
template <class Code>
std::string listed(Code last) {
  std::string out;
  for (int i = 0; i <= static_cast<int>(last); ++i)
    out += (i == 0 ? "`" : ", `") + std::string{to_string(static_cast<Code>(i))} + "`";
  return out;
}

} // namespace

TEST_CASE("protocol/README.md lists the codes that programs decide by") {
  auto text = read_source("protocol/README.md");
  for (const auto& codes :
       {listed(service_state::stopped), listed(stop_mode::immediate),
        listed(stop_reason::user_forced), listed(work_code::close_database),
        listed(exit_trouble::killed), listed(instance_wish::ready), listed(wait_kind::work),
        listed(actor_state::gone), listed(exit_state::gone), listed(cause_kind::degraded),
        listed(ailment::no_connections), listed(finding_verdict::bad),
        listed(finding_code::last_exit_failed)}) {
    CAPTURE(codes);
    CHECK(codes.find("unknown") == codes.npos);
    CHECK(text.find("| " + codes + " |") != text.npos);
  }
  CHECK(text.find("| " + listed(life_kind::upgrade) + " |") != text.npos);
  CHECK(text.find("| " + listed(rejection::own) + " |") != text.npos);
  std::string verdicts;
  for (auto code : exit_codes)
    verdicts += (verdicts.empty() ? "`" : ", `") + std::string{to_string(code)} + "`";
  CHECK(text.find("| " + verdicts + " |") != text.npos);
}

TEST_CASE("exit codes: the documents and the unit file say what the code says, and systemd has no "
          "names of its own for them") {
  for (auto file : {"protocol/README.md", "README.md", "deploy/README.md"}) {
    CAPTURE(file);
    auto text = read_source(file);
    for (auto code : exit_codes)
      CHECK_MESSAGE(text.find("| " + std::to_string(static_cast<int>(code)) + " | "
                              + std::string{describe(code)} + " |")
                      != text.npos,
                    describe(code));
  }
  for (auto code : exit_codes) {
    auto number = static_cast<int>(code);
    CHECK(
      (number <= 2 || (number >= 80 && number < 128))); // LSB, sysexits.h, signals, systemd.exec
  }
  CHECK(static_cast<int>(exit_code::child_died) == 80);
  CHECK(static_cast<int>(exit_code::forced_by_deadline) == 81);
  CHECK(static_cast<int>(exit_code::forced_by_user) == 82);
  CHECK(static_cast<int>(exit_code::unaccounted) == 83);
  auto unit = read_source("deploy/phi-backend.service.in");
  CHECK(unit.find("\nRestartPreventExitStatus=" + std::to_string(static_cast<int>(exit_code::usage))
                  + " " + std::to_string(static_cast<int>(exit_code::forced_by_user)) + "\n")
        != unit.npos);
  CHECK(read_source("deploy/README.md").find("after every end but 0, 2 and 82 (") != unit.npos);
}
