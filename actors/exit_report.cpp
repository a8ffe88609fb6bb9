#include "actors/exit_report.hpp"

#include <cstdio>

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
  for (const auto& [what, count] : counts)
    out += (out.empty() ? "" : ", ") + what + " " + std::to_string(count);
  return out;
}

std::string row_text(const std::string& a, const std::string& b, const std::string& c,
                     const std::string& d, const std::string& e, const std::string& f) {
  char text[512];
  std::snprintf(text, sizeof text, "%-10s %-9s %9s %9s %9s  %s", a.c_str(), b.c_str(), c.c_str(),
                d.c_str(), e.c_str(), f.c_str());
  return text;
}

} // namespace

std::string show_duration(duration d) {
  char text[32];
  auto ms = std::chrono::duration<double, std::milli>(d).count();
  if (ms < 1000)
    std::snprintf(text, sizeof text, ms < 10 ? "%.1f ms" : "%.0f ms", ms);
  else
    std::snprintf(text, sizeof text, "%.1f s", ms / 1000);
  return text;
}

std::string blame_chain(const exit_report& report) {
  std::string out;
  auto add = [&](const std::string& part) { out += (out.empty() ? "" : "; ") + part; };
  for (const auto& row : report.actors) {
    if (row.report) {
      for (const auto& wait : row.report->waits)
        if (wait.for_how_long >= noticeable)
          add(row.actor + " waited " + show_duration(wait.for_how_long) + " for " + wait.whom);
    } else if (row.released) {
      add(row.actor + " did not report for "
          + show_duration(row.gone.value_or(report.took) - *row.released));
    }
  }
  return out;
}

std::string survivors(const exit_report& report) {
  std::string out;
  for (const auto& row : report.actors)
    if (!row.gone)
      out += (out.empty() ? "" : ", ") + row.actor + " (" + row.state
             + (row.released ? " since " + show_duration(*row.released) : "") + ")";
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
    lines.push_back(
      row_text(row.actor, row.state, cell(row.released), cell(row.gone), cell(took), did));
  }
  return lines;
}

} // namespace phi
