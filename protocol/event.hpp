#pragma once
/// One usage event, as the service keeps it.

#include <array>
#include <cstdint>
#include <string>

namespace phi {

/// A 128-bit digest.
using digest = std::array<uint8_t, 16>;

/// Values are valid UTF-8 without NUL and within the limits of the configuration: the HTTP room
/// checks this before an event is made, so that every store can hold every event.
struct event {
  int64_t time_us = 0; ///< microseconds since 1970-01-01 UTC
  digest identity{};   ///< of (source, id), or a UUIDv7 if the sender gave no id
  std::string feature; ///< empty = none; one of feature and route is always there
  std::string action;
  std::string route;
  std::string method;
  int32_t status = 0;       ///< 100 to 599; 0 = none
  bool no_time = false;     ///< the sender gave none: when it is sent again it has another one
  bool no_id = false;       ///< the sender gave none: nobody can send it again
  int64_t duration_us = -1; ///< -1 = none
  std::string user_hash;    ///< 32 hex digits; empty = none
  std::string user_kind;
  std::string address_hash; ///< 32 hex digits; only of the service's own requests
  std::string instance;
  std::string extra; ///< a JSON object as text; empty = none

  /// The bytes that the queue accounts for this event.
  size_t footprint() const {
    return sizeof(event) + feature.size() + action.size() + route.size() + method.size()
           + user_hash.size() + user_kind.size() + address_hash.size() + instance.size()
           + extra.size();
  }
};

/// How durable an acknowledged event is.
enum class durability : uint8_t {
  full,   ///< answered after a commit that was flushed to disk
  normal, ///< answered after a commit that survives a kill, not a power cut
  queued, ///< answered before the commit; lossy on kill
};

} // namespace phi
