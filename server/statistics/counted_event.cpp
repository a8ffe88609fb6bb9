#include "server/statistics/counted_event.hpp"

#include "protocol/own_request.hpp"

#include <algorithm>
#include <charconv>

namespace phi::statistics {

uint64_t person_of(std::string_view hash) {
  constexpr size_t digits = 16;
  if (hash.empty())
    return 0;
  uint64_t value = 0;
  auto first = hash.substr(0, digits);
  auto read = std::from_chars(first.data(), first.data() + first.size(), value, 16);
  if (first.size() < digits || read.ptr != first.data() + digits) {
    value = 0xcbf29ce484222325U; // no hash of ours, so we make one (FNV-1a)
    for (auto c : hash)
      value = (value ^ static_cast<uint8_t>(c)) * 0x100000001b3U;
  }
  return std::max<uint64_t>(value, 1);
}

bool counted_event::of_ourselves() const {
  return action == own_request_action;
}

counted_event counted(const event& e) {
  return {.time_us = e.time_us,
          .feature = e.feature,
          .action = e.action,
          .route = e.route,
          .method = e.method,
          .user_kind = e.user_kind,
          .instance = e.instance,
          .status = e.status,
          .duration_us = e.duration_us,
          .user = person_of(e.user_hash),
          .address = person_of(e.address_hash)};
}

} // namespace phi::statistics
