#pragma once
/// What an operator asks of the database beside statistics: the last events, whether counts and
/// rows agree. On the reading connection, whichever the database.

#include "protocol/questions.hpp"
#include "server/statistics/row_source.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace phi::statistics {

/// `{events: [...], last}`: those behind `query.after`, or the last `query.limit` ones without it;
/// `last` is where to go on. Users' hashes and `extra` are left out.
nlohmann::ordered_json recent_events(row_source& db, const recent_events_query& query);

inline constexpr int64_t all_days = -1'000'000;

/// 128 bits: 2^31 of 2^32 for each of 2^64 rows.
using wide_number = __int128;

/// Something that was counted both in the rows and in what is derived from them.
struct compared {
  std::string_view name;
  wide_number rows = 0;
  wide_number derived = 0;
  std::vector<std::string> days{}; ///< some of those that differ
};

/// `{checks: [{what, rows, rollups, ok, days}], ok}`; `days` only where some are known to differ.
nlohmann::ordered_json report(const std::vector<compared>& all);

} // namespace phi::statistics
