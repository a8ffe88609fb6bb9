#include "server/statistics/counted_event.hpp"

#include "protocol/own_request.hpp"

#include <algorithm>

namespace phi::statistics {

uint64_t person_of(std::string_view hash) {
  if (hash.empty())
    return 0;
  // Of the whole text, for it may be a sender's own and alike at its beginning: FNV-1a, and the
  // finalizer of MurmurHash3, which lets each bit depend on all others.
  uint64_t value = 0xcbf29ce484222325U;
  for (auto c : hash)
    value = (value ^ static_cast<uint8_t>(c)) * 0x100000001b3U;
  value = (value ^ (value >> 33)) * 0xff51afd7ed558ccdU;
  value = (value ^ (value >> 33)) * 0xc4ceb9fe1a85ec53U;
  return std::max<uint64_t>(value ^ (value >> 33), 1);
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
