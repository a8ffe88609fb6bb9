#pragma once
/// Waiting for what must come about, and numbers out of /health.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace phi::testing {

/// Waits until it holds; false: it did not in time.
inline bool eventually(const std::function<bool()>& holds,
                       std::chrono::milliseconds limit = std::chrono::seconds{30}) {
  for (auto end = std::chrono::steady_clock::now() + limit; !holds();) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  return true;
}

/// The first number with this name in a JSON text; 0: there is none.
inline uint64_t gauge(const std::string& health, const std::string& name) {
  auto at = health.find("\"" + name + "\":");
  return at == health.npos ? 0 : std::stoull(health.substr(at + name.size() + 3));
}

} // namespace phi::testing
