#include "tools/phictl/trace_diagram.hpp"

#include "tools/phictl/context.hpp"
#include "tools/phictl/output.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <vector>

namespace phi::ctl {
namespace {

using json = nlohmann::ordered_json;

struct arrow {
  double at_us = 0; ///< when it was handled
  std::string from;
  std::string to;
  std::string message;
  std::string content; ///< in a few words; may be empty
  bool stuck = false;  ///< it belongs to the story of the stop, whenever it was
  bool lost = false;   ///< nobody has handled it
};

bool tells_of_a_stop(const std::string& message) {
  for (auto of_a_stop : {"terminate", "stop", "release", "stopped", "drained", "down"})
    if (message == of_a_stop)
      return true;
  return false;
}

std::map<int, std::string> track_names(const json& events) {
  std::map<int, std::string> out;
  for (const auto& event : events)
    if (event.value("name", "") == "thread_name")
      out[event.value("tid", 0)] = event["args"].value("name", "?");
  return out;
}

/// Messages that were sent and never handled, of one kind on one way.
arrow lost_arrow(const json& event) {
  const auto& args = event["args"];
  auto count = args.value("count", uint64_t{1});
  auto content = "never handled" + (count > 1 ? ", " + std::to_string(count) + " of them" : "");
  return {event.value("ts", 0.0),
          args.value("from", "?"),
          args.value("to", "?"),
          event.value("name", ""),
          content,
          true,
          true};
}

std::vector<arrow> arrows_of(const json& events) {
  auto names = track_names(events);
  std::vector<arrow> out;
  for (const auto& event : events) {
    auto message = event.value("name", "");
    if (event.value("cat", "") == "waiting" && event.contains("args"))
      out.push_back(lost_arrow(event));
    if (event.value("cat", "") != "message" || !event.contains("args"))
      continue;
    const auto& args = event["args"];
    bool unfinished = args.value("unfinished", false); // somebody was stuck in it
    if (!tells_of_a_stop(message) && !unfinished)
      continue;
    auto content = args.value("content", "");
    if (unfinished)
      content += content.empty() ? "not handled to its end" : ", not handled to its end";
    // Mermaid ends a text at ; and #.
    std::replace_if(
      content.begin(), content.end(), [](char c) { return c == ';' || c == '#'; }, ',');
    out.push_back({event.value("ts", 0.0), args.value("from", "?"), names[event.value("tid", 0)],
                   message, content, unfinished});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const arrow& a, const arrow& b) { return a.at_us < b.at_us; });
  return out;
}

std::vector<arrow> arrows_in(const std::string& file) {
  std::ifstream in{file};
  if (!in)
    throw failure{exit_status::failed, "cannot read " + file + ": " + std::strerror(errno)};
  auto events = read_json(in);
  if (!events.is_array())
    throw failure{exit_status::failed,
                  file + " is not a whole trace; was the service still writing it?"};
  try {
    return arrows_of(events);
  } catch (const json::exception&) {
    throw failure{exit_status::failed, file + " is JSON, but no trace of phi-backend"};
  }
}

} // namespace

std::vector<std::string> stop_diagram(const std::string& file) {
  auto arrows = arrows_in(file);
  auto first = std::find_if(arrows.begin(), arrows.end(),
                            [](const arrow& sent) { return sent.message == "terminate"; });
  if (first == arrows.end())
    throw failure{exit_status::failed, "there is no stop in " + file
                                         + "; trace one with PHI_TRACE=FILE.json phi-backend ..."};
  std::vector<std::string> out{"sequenceDiagram"};
  std::vector<std::string> known;
  auto introduce = [&](const std::string& who) {
    if (std::find(known.begin(), known.end(), who) != known.end())
      return;
    known.push_back(who);
    out.push_back("  participant " + who);
  };
  // What somebody was stuck in before the stop belongs to its story.
  std::vector<arrow> shown;
  for (auto at = arrows.begin(); at != arrows.end(); ++at)
    if (at >= first || at->stuck)
      shown.push_back(*at);
  for (auto at = shown.begin(); at != shown.end(); ++at) {
    introduce(at->from);
    introduce(at->to);
  }
  for (auto at = shown.begin(); at != shown.end(); ++at) {
    char time[32];
    std::snprintf(time, sizeof time, "%.1f ms ", (at->at_us - first->at_us) / 1000);
    auto line = at->lost                   ? "-x"
                : at->message == "down"    ? "--x"
                : at->message == "stopped" ? "-->>"
                                           : "->>";
    out.push_back("  " + at->from + line + at->to + ": " + time + at->message
                  + (at->content.empty() ? "" : " (" + at->content + ")"));
  }
  return out;
}

} // namespace phi::ctl
