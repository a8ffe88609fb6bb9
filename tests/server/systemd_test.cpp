// Our side of systemd without one: budgets, journal entries.

#include "server/logging_journal.hpp"
#include "server/systemd/budget_doctor.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;
using namespace phi::systemd;
using namespace std::chrono_literals;

namespace {

std::string findings(const config& settings, const unit_limits& limits) {
  std::string out;
  for (const auto& finding : examine_budgets(settings, limits))
    out += finding.text() + "\n";
  return out;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

const unit_limits shipped{"phi-backend.service", duration{45s}, duration{45s}, duration{90s}};

} // namespace

TEST_CASE("budget doctor: the shipped unit fits the defaults; nothing known is nothing found") {
  CHECK(findings({}, shipped) == "");
  CHECK(findings({}, {}) == "");
}

TEST_CASE("budget doctor: each mismatch is named with its mend") {
  auto limits = shipped;
  limits.start = duration{30s};
  CHECK(has(findings({}, limits),
            "TimeoutStartSec of phi-backend.service is 30 s; set TimeoutStartSec=35"));
  limits = shipped;
  limits.stop = duration{40s};
  CHECK(has(findings({}, limits),
            "is 40 s: without progress we end it before that; set TimeoutStopSec=41"));
  config settings;
  settings.shutdown.force_quit = false;
  CHECK(has(findings(settings, limits), "TimeoutStopSec=infinity"));
  limits = shipped;
  limits.watchdog = duration{20s};
  auto text = findings({}, limits);
  CHECK(has(text, "interval_secs = 10 s must be less than half"));
  CHECK(has(text, "5 s is used"));
  CHECK(has(text, "timeout_secs = 60 s and two intervals must be less"));
  CHECK(has(text, "WatchdogSec=81"));
  limits.watchdog.reset();
  settings = {};
  settings.shutdown.watchdog.enabled = true;
  CHECK(has(findings(settings, limits), "has no WatchdogSec"));
}

TEST_CASE("a journal entry has a field for each value, and values cannot forge one") {
  auto entry =
    journal_entry("store commits", "store", {{"events", 3}, {"from-who", "a\x1fPHI_X=1"}});
  CHECK(entry == "store commits\x1fPHI_ACTOR=store\x1fPHI_EVENTS=3\x1fPHI_FROM_WHO=a\\x1fPHI_X=1");
  CHECK(journal_entry("a\x1f"
                      "b",
                      "x", {})
        == "a\\x1fb\x1fPHI_ACTOR=x");
}
