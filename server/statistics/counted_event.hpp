#pragma once
/// What of an event is counted.

#include "protocol/event.hpp"

#include <cstdint>
#include <string_view>

namespace phi::statistics {

/// 64 bits of a stored hash: two of a million persons share them once in 40 million
/// databases. Never 0, which stands for nobody.
uint64_t person_of(std::string_view hash);

/// Views into whatever it was made of.
struct counted_event {
  int64_t time_us = 0;
  std::string_view feature, action, route, method, user_kind, instance; ///< empty: none
  int32_t status = 0;                                                   ///< 0: none
  int64_t duration_us = -1;                                             ///< -1: none
  uint64_t user = 0;                                                    ///< 0: none
  uint64_t address = 0;                                                 ///< 0: none

  /// The service's own request: counted apart, but for the address of its client.
  bool of_ourselves() const;
};

counted_event counted(const event& e);

} // namespace phi::statistics
