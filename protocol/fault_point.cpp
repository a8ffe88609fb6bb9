#include "protocol/fault_point.hpp"

#ifdef PHI_FAULT_INJECTION

#include "protocol/platform/process.hpp"

#include <chrono>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

namespace phi {
namespace {

struct fault {
  std::string action;
  long from_pass = 1;
  long times = std::numeric_limits<long>::max();
  long passes = 0;
};

std::map<std::string, fault, std::less<>> read_faults() {
  std::map<std::string, fault, std::less<>> out;
  const char* text = std::getenv("PHI_FAULTS");
  std::string rest = text ? text : "";
  while (!rest.empty()) {
    auto comma = rest.find(',');
    auto item = rest.substr(0, comma);
    rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
    auto equals = item.find('=');
    fault asked_for{.action = item.substr(equals + 1)};
    if (auto at = asked_for.action.find('@'); at != std::string::npos) {
      asked_for.from_pass = std::stol(asked_for.action.substr(at + 1));
      if (auto star = asked_for.action.find('*', at); star != std::string::npos)
        asked_for.times = std::stol(asked_for.action.substr(star + 1));
      asked_for.action.erase(at);
    }
    out[item.substr(0, equals)] = asked_for;
  }
  return out;
}

void act(const std::string& action) {
  using namespace std::chrono_literals;
  if (action == "spin") {
    for (volatile bool forever = true; forever;) {
    }
  } else if (action == "block") {
    for (;;)
      std::this_thread::sleep_for(1h);
  } else if (action.starts_with("block:")) {
    std::this_thread::sleep_for(std::chrono::milliseconds{std::stol(action.substr(6))});
  } else if (action == "throw") {
    throw std::runtime_error("injected fault");
  } else if (action == "kill") {
    kill_this_process();
  }
}

} // namespace

void fault_point(std::string_view where) {
  static auto faults = read_faults();
  static std::mutex guard;
  std::string action;
  {
    std::lock_guard lock{guard};
    auto found = faults.find(where);
    if (found == faults.end() || ++found->second.passes < found->second.from_pass
        || found->second.passes - found->second.from_pass >= found->second.times)
      return;
    action = found->second.action;
  }
  act(action);
}

int64_t limit_in_drills(const char* name, int64_t limit) {
  const char* wish = std::getenv(name);
  return wish && *wish ? std::stoll(wish) : limit;
}

} // namespace phi

#endif
