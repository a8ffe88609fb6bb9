#pragma once
/// What is in the database file, read with SQLite itself and not with the code under test.

#include <cstdint>
#include <map>
#include <string>

namespace phi::testing {

/// The first column of the first row.
int64_t ask_database(const std::string& file, const std::string& sql);

/// action -> how many rows, of the rows with this feature. The drills put the id of an event there.
std::map<std::string, int> stored_actions(const std::string& file, const std::string& feature);

/// Whether the roll-ups say what the rows say. An explanation when not.
std::string rollup_mismatch(const std::string& file);

} // namespace phi::testing
