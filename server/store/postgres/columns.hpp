#pragma once
/// Events and roll-ups as columns of arrays, and as the binary form of COPY.

#include "server/statistics/rollup.hpp"
#include "server/store/postgres/connection.hpp"

#include <string>
#include <vector>

namespace phi::store {

std::vector<postgres_value> columns_of(const std::vector<const event*>& events);
std::string copy_of(const std::vector<const event*>& events);

/// One statement a table that has something to add.
void queue_rollups(postgres_connection& db, const statistics::rollup& sums,
                   const std::string& writer);

} // namespace phi::store
