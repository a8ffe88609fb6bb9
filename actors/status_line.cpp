#include "actors/status_line.hpp"

#include "protocol/text/digits.hpp"

#include <cmath>

namespace phi {
namespace {

/// Of the one actor that shows it.
uint64_t gauge(const service_status& status, std::string_view name) {
  for (const auto& child : status.children)
    if (auto count = child.says ? child.says->gauge(name) : 0; count > 0)
      return count;
  return 0;
}

} // namespace

std::string status_line::show(const service_status& status, time_point now) {
  std::string out{to_string(status.state)};
  if (!status.ledger)
    return out + ": stats does not answer";
  auto settled = status.ledger->stored + status.ledger->duplicates;
  double rate = 0;
  if (at_ && now > *at_ && settled >= settled_)
    rate =
      static_cast<double>(settled - settled_) / std::chrono::duration<double>(now - *at_).count();
  settled_ = settled;
  at_ = now;
  return out + ": " + group_digits(static_cast<uint64_t>(std::lround(rate))) + " events/s, "
         + group_digits(status.ledger->in_queue) + " queued, " + group_digits(status.ledger->stored)
         + " stored, " + group_digits(gauge(status, gauge_name::connections)) + " connections";
}

} // namespace phi
