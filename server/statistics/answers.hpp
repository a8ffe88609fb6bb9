#pragma once
/// From a question to its answer, out of the roll-ups. The same for every database.

#include "protocol/query.hpp"
#include "server/statistics/row_source.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>

namespace phi::statistics {

/// Answers `daily`, `daily_features` and `summary`. All parts of an answer must see the same data:
/// called within one transaction. `start_at_us`: nothing before it is counted.
nlohmann::ordered_json answer_from_rollups(row_source& from, const query& what,
                                           std::optional<int64_t> start_at_us);

} // namespace phi::statistics
