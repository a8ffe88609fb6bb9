#pragma once
/// What an operator asks of the spool.

#include "actors/ports/spool_port.hpp"
#include "server/store/spool/spool_index.hpp"
#include "server/store/sqlite/connection.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string_view>
#include <vector>

namespace phi::store {

/// As the text of `spool_check`: what is missing has been seen, and need not be shown again.

spool_depth depth_of(sqlite_connection& db);

/// `{batches, events, bytes, oldestAt, setAsideBatches, setAsideEvents, setAside}`.
nlohmann::ordered_json show_spool(sqlite_connection& db);

/// Reads every batch: `{batches, events, ok, damaged, missingBatches, missingEvents, missing}`.
nlohmann::ordered_json check_spool(sqlite_connection& db,
                                   const std::vector<indexed_batch>& missing);

} // namespace phi::store
