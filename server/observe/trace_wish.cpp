#include "server/observe/trace_wish.hpp"

#include "actors/log.hpp"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

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

bool is_one_of(std::string_view wish, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), wish) != words.end();
}

bool says_no(std::string_view wish) {
  return is_one_of(wish, {"", "0", "no", "off", "false"});
}

bool says_yes(std::string_view wish) {
  return is_one_of(wish, {"1", "yes", "on", "true", "log"});
}

} // namespace

void trace_if_asked(trace_recorder& trace) {
  const char* given = std::getenv("PHI_TRACE");
  const std::string wish{given ? given : ""};
  if (says_no(wish))
    return;
  trace_target target{.to_log = says_yes(wish)};
  if (!target.to_log)
    target.file = wish;
  const char* content = std::getenv("PHI_TRACE_CONTENT");
  auto traces =
    target.to_log || wish.find_first_of("./") != wish.npos
      ? trace.on(target, {names_in("PHI_TRACE_ACTORS"), names_in("PHI_TRACE_MESSAGES"),
                          content && says_yes(content)})
      : outcome::failure("PHI_TRACE=" + wish + " is neither 1 nor a file such as trace.json");
  if (!traces)
    log_error("trace", traces.why() + "; goes on without, see PHI_TRACE");
}

} // namespace phi
