#pragma once
/// Events of all kinds from a seed: alike enough that they share slots, routes and persons.

#include "protocol/event.hpp"
#include "protocol/own_request.hpp"

#include <random>
#include <string>
#include <vector>

namespace phi::testing {

inline constexpr int64_t day_us = 86'400'000'000;

/// Where random events are, and how different they are.
struct random_kinds {
  int64_t first_day = -2; ///< since 1970
  int64_t days = 5;
  uint64_t routes = 6;
  uint64_t users = 40;
};

class random_events {
public:
  explicit random_events(uint64_t seed, random_kinds kinds = {}) : random_(seed), kinds_(kinds) {}

  uint64_t below(uint64_t limit) { return random_() % limit; }

  event next() {
    event e{.time_us = time()};
    auto number = ++made_;
    for (size_t i = 0; i < 8; ++i)
      e.identity[i] = static_cast<uint8_t>(number >> (8 * i));
    e.feature = below(5) == 0 ? "" : "feature" + std::to_string(below(3));
    e.route = e.feature.empty() || below(2) ? "/r" + std::to_string(below(kinds_.routes)) : "";
    e.method = e.route.empty() ? "" : below(2) ? "GET" : "PÖST";
    e.action = below(9) == 0   ? std::string{own_request_action}
               : below(2) == 0 ? "a" + std::to_string(below(3))
                               : "";
    e.status = below(4) ? static_cast<int32_t>(100 + below(500)) : 0;
    e.duration_us = duration();
    e.user_hash = below(3) ? hash(below(kinds_.users)) : "";
    e.user_kind = e.user_hash.empty() || below(2) ? "" : below(2) ? "guest" : "staff";
    e.address_hash = below(3) ? "" : hash(1000 + below(9));
    e.instance = below(2) ? "i" + std::to_string(below(3)) : "";
    return e;
  }

  std::vector<event> some(size_t count) {
    std::vector<event> out;
    for (size_t i = 0; i < count; ++i)
      out.push_back(next());
    return out;
  }

private:
  /// Often at the very ends of slots and days.
  int64_t time() {
    auto day = kinds_.first_day + static_cast<int64_t>(below(static_cast<uint64_t>(kinds_.days)));
    constexpr int64_t slot = 900'000'000;
    auto within = below(4) ? static_cast<int64_t>(below(day_us))
                           : static_cast<int64_t>(below(96)) * slot + (below(2) ? 0 : slot - 1);
    return day * day_us + within;
  }
  int64_t duration() {
    switch (below(6)) {
      case 0: return -1;
      case 1: return static_cast<int64_t>(below(3));
      case 2: return static_cast<int64_t>(random_() >> 1); // the sum of two is past 64 bits
      default: return static_cast<int64_t>(below(10'000'000));
    }
  }
  /// 32 hex digits, as stored hashes are.
  static std::string hash(uint64_t of) {
    std::mt19937_64 digits{of};
    std::string out;
    while (out.size() < 32)
      out += "0123456789abcdef"[digits() % 16];
    return out;
  }

  std::mt19937_64 random_;
  random_kinds kinds_;
  uint64_t made_ = 0;
};

} // namespace phi::testing
