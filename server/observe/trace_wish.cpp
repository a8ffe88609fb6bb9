#include "server/observe/trace_wish.hpp"

#include "actors/log.hpp"

#include <cstdlib>
#include <optional>
#include <set>
#include <sstream>
#include <string>

namespace phi {
namespace {

std::set<std::string> names_in(const char* variable) {
  std::set<std::string> out;
  const char* list = std::getenv(variable);
  std::istringstream in{list ? list : ""};
  for (std::string name; std::getline(in, name, ',');)
    if (!name.empty())
      out.insert(name);
  return out;
}

/// Where PHI_TRACE wants the trace: a file, "1" for the log, empty: nowhere. Anything else is
/// wrong.
std::optional<std::string> trace_wish(std::string wish) {
  for (std::string_view no : {"", "0", "no", "off", "false"})
    if (wish == no)
      return "";
  for (std::string_view yes : {"1", "yes", "on", "true", "log"})
    if (wish == yes)
      return "1";
  if (wish.find_first_of("./") == wish.npos)
    return std::nullopt;
  return wish;
}

} // namespace

void trace_if_asked(trace_recorder& trace) {
  const char* text = std::getenv("PHI_TRACE");
  auto where = trace_wish(text ? text : "");
  if (where && where->empty())
    return;
  const char* content = std::getenv("PHI_TRACE_CONTENT");
  auto traces = where
                  ? trace.on(*where, {names_in("PHI_TRACE_ACTORS"), names_in("PHI_TRACE_MESSAGES"),
                                      content && trace_wish(content) == "1"})
                  : outcome::failure("PHI_TRACE=" + std::string{text}
                                     + " is neither 1 nor a file such as trace.json");
  if (!traces)
    log_error("trace", traces.why() + "; goes on without, see PHI_TRACE");
}

} // namespace phi
