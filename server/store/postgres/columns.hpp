#pragma once
/// Events as columns of arrays, and as the binary form of COPY.

#include "protocol/event.hpp"
#include "server/store/postgres/values.hpp"

#include <string>
#include <vector>

namespace phi::store {

std::vector<postgres_value> columns_of(const std::vector<const event*>& events);
std::string copy_of(const std::vector<const event*>& events);

/// Where their rows are, for `add_uncounted`: behind the number `after`. Not of none.
std::vector<postgres_value> bounds_of(const std::vector<const event*>& events, int64_t after);

} // namespace phi::store
