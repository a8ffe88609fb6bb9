#include "actors/exit_report.hpp"

#include "actors/activity.hpp"
#include "protocol/text/duration.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <set>

namespace phi {
namespace {

using namespace std::chrono_literals;

/// Waits shorter than this are nobody's fault.
constexpr auto noticeable = 10ms;

std::string cell(const std::optional<duration>& time) {
  return time ? show_duration(*time) : "-";
}

std::string join(const std::vector<counted>& counts) {
  std::string out;
  for (const auto& [name, count] : counts)
    out += (out.empty() ? "" : ", ") + name + " " + std::to_string(count);
  return out;
}

std::string row_text(const std::string& a, const std::string& b, const std::string& c,
                     const std::string& d, const std::string& e, const std::string& f) {
  char text[512];
  std::snprintf(text, sizeof text, "%-10s %-9s %9s %9s %9s  %s", a.c_str(), b.c_str(), c.c_str(),
                d.c_str(), e.c_str(), f.c_str());
  return text;
}

bool is_left(const exit_row& row) {
  return !row.gone
         && row.state != exit_state::gone; // one that was never started has no time of its end
}

/// Of one that is left, or was killed: whom it waits for; of one that has gone: for whom it waited.
const std::vector<waited>& waits_of(const exit_row& row) {
  return row.report ? row.report->waits : row.waits;
}

const waited& longest_wait(const exit_row& row) {
  const auto& waits = waits_of(row);
  return *std::max_element(waits.begin(), waits.end(), [](const waited& a, const waited& b) {
    return a.for_how_long < b.for_how_long;
  });
}

const exit_row* row_of(const exit_report& report, const std::string& actor) {
  for (const auto& row : report.actors)
    if (row.actor == actor)
      return &row;
  return nullptr;
}

/// "in COMMIT for 31.0 s", "waits for store for 3.2 s"; empty: nothing.
std::string what_it_does(const exit_row& row) {
  std::string out = row.doing.empty() ? "" : "in " + row.doing;
  for (const auto& wait : row.waits)
    out += (out.empty() ? "" : ", ") + std::string{"waits for "} + wait.whom + " for "
           + show_duration(wait.for_how_long);
  return out;
}

using adder = std::function<void(const std::string&)>;

void blame_the_gone(const exit_row& row, const adder& add) {
  for (const auto& wait : waits_of(row))
    if (wait.for_how_long >= noticeable)
      add(row.actor + " waited " + show_duration(wait.for_how_long) + " for " + wait.whom);
  if (row.report)
    return;
  if (row.killed && row.released && row.gone)
    add(row.actor + " did not report for " + show_duration(*row.gone - *row.released)
        + " and was killed");
  else if (!row.trouble.empty())
    add(row.actor + ": " + row.trouble);
}

/// One that is left, then those whom it waits for.
void blame_the_left(const exit_report& report, const exit_row& row, std::set<const exit_row*>& told,
                    const adder& add) {
  if (!told.insert(&row).second)
    return;
  if (auto doing = what_it_does(row); !doing.empty())
    add(row.actor + " " + doing);
  else if (row.released)
    add(row.actor + " did not report for " + show_duration(report.took - *row.released));
  for (const auto& wait : row.waits)
    if (const auto* next = row_of(report, wait.whom); next && is_left(*next))
      blame_the_left(report, *next, told, add);
}

culprit last_link(const exit_report& report, const exit_row& from) {
  std::set<const exit_row*> seen;
  const auto* at = &from;
  duration waited_for{}; ///< by whoever waits for it
  while (seen.insert(at).second && !waits_of(*at).empty()) {
    const auto& wait = longest_wait(*at);
    if (wait.for_how_long < noticeable)
      break;
    const auto* next = row_of(report, wait.whom);
    if (wait.kind == wait_kind::client)
      return {wait.whom, {}, wait.for_how_long, wait_kind::client};
    if (!next)
      return {at->actor, wait.whom, wait.for_how_long, wait_kind::actor, wait.work};
    at = next;
    waited_for = wait.for_how_long;
  }
  auto held = at->released ? at->gone.value_or(report.took) - *at->released : waited_for;
  return {at->actor, at->doing.empty() ? at->trouble : at->doing, held, wait_kind::actor, at->work};
}

duration time_to_leave(const exit_row& row) {
  return row.released && row.gone ? *row.gone - *row.released : duration{};
}

/// Where all have gone and nobody has said that he waited.
std::optional<culprit> slowest_to_leave(const exit_report& report) {
  auto slowest =
    std::max_element(report.actors.begin(), report.actors.end(), [](const auto& a, const auto& b) {
      return time_to_leave(a) < time_to_leave(b);
    });
  if (slowest == report.actors.end() || time_to_leave(*slowest) < noticeable)
    return std::nullopt;
  return culprit{slowest->actor, "leaving", time_to_leave(*slowest)};
}

} // namespace

void refresh_report(exit_report& report, time_point now) {
  if (report.began != time_point{})
    report.took = now - report.began;
  for (auto& row : report.actors) {
    if (!row.seen_at)
      continue;
    if (auto ledgers = row.seen_at->ledgers.read())
      report.ledger = ledgers;
    if (!is_left(row))
      continue;
    row.doing = row.seen_at->busy() ? row.seen_at->show() : std::string{};
    row.work = row.seen_at->work();
    row.waits = row.seen_at->waits();
  }
}

std::string blame_chain(const exit_report& report) {
  std::string out;
  auto add = [&](const std::string& part) { out += (out.empty() ? "" : "; ") + part; };
  for (const auto& row : report.actors)
    if (!is_left(row))
      blame_the_gone(row, add);
  std::set<const exit_row*> told;
  for (const auto& row : report.actors)
    if (is_left(row) && row.released)
      blame_the_left(report, row, told, add);
  return out;
}

std::optional<culprit> held_by(const exit_report& report) {
  for (const auto& row : report.actors)
    if (is_left(row) && row.released)
      return last_link(report, row);
  const exit_row* longest = nullptr;
  for (const auto& row : report.actors) {
    if (row.killed || (row.released && !row.report))
      return last_link(report, row);
    if (!waits_of(row).empty()
        && (!longest || longest_wait(*longest).for_how_long < longest_wait(row).for_how_long))
      longest = &row;
  }
  if (!longest || longest_wait(*longest).for_how_long < noticeable)
    return slowest_to_leave(report);
  return last_link(report, *longest);
}

std::string survivors(const exit_report& report) {
  std::string out;
  for (const auto& row : report.actors) {
    if (!is_left(row))
      continue;
    out += (out.empty() ? "" : ", ") + row.actor + " (" + std::string{to_string(row.state)};
    if (auto since = row.killed ? row.killed : row.escalated ? row.escalated : row.released)
      out += " at " + show_duration(*since);
    auto doing = what_it_does(row);
    out += (doing.empty() ? "" : ", " + doing) + ")";
  }
  return out;
}

std::vector<std::string> closing_table(const exit_report& report) {
  std::vector<std::string> lines{
    row_text("actor", "state", "released", "gone", "took", "what it did")};
  for (const auto& row : report.actors) {
    std::optional<duration> took;
    if (row.released)
      took = row.gone.value_or(report.took) - *row.released;
    auto did = row.report ? join(row.report->did) : std::string{};
    if (!row.trouble.empty())
      did += (did.empty() ? "" : "; ") + row.trouble;
    if (auto doing = is_left(row) ? what_it_does(row) : std::string{}; !doing.empty())
      did += (did.empty() ? "" : "; ") + doing;
    lines.push_back(row_text(row.actor, std::string{to_string(row.state)}, cell(row.released),
                             cell(row.gone), cell(took), did));
  }
  return lines;
}

} // namespace phi
