#pragma once
/// The one line that says how the service is: state, rate, queue. No actors, no clock.

#include "protocol/status.hpp"

#include <optional>
#include <string>

namespace phi {

class status_line {
public:
  /// "ready: 1 203 events/s, 12 queued, 5 234 111 stored, 40 connections". The rate is that since
  /// the last call.
  std::string show(const service_status& status, time_point now);

private:
  uint64_t settled_ = 0;
  std::optional<time_point> at_;
};

} // namespace phi
