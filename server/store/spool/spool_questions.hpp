#pragma once
/// What an operator asks of the spool.

#include "actors/ports/spool_port.hpp"
#include "server/store/spool/spool_index.hpp"
#include "server/store/sqlite/connection.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string_view>
#include <vector>

namespace phi::store {

spool_depth depth_of(sqlite_connection& db);

/// `{batches, events, bytes, oldestAt, setAsideBatches, setAsideEvents, setAside}`.
nlohmann::ordered_json show_spool(sqlite_connection& db);

/// One step of a check: reads batches, up to the number `last` as it is at the first step, for some
/// 20 ms, and one batch more. Whether all are read.
bool check_some(sqlite_connection& db, int64_t last, spool_progress& so_far);

/// What came of it: `{batches, events, ok, damaged, missingBatches, missingEvents, missing}`.
nlohmann::ordered_json show_check(const spool_progress& all,
                                  const std::vector<indexed_batch>& missing);

} // namespace phi::store
