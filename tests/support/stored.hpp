#pragma once
/// What is in a database, read with the database's own library and not with the code under test.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace phi::testing {

/// Puts a query to a database: the first column of the rows, as text. Throws what is wrong.
using question = std::function<std::vector<std::string>(const std::string& sql)>;

/// action -> how many rows, of the rows with this feature. The drills put the id of an event there.
std::map<std::string, int> stored_actions(const question& ask, const std::string& feature);

/// Whether the cubes say what the rows say that they should hold. An explanation when not.
std::string count_mismatch(const question& ask);
std::string count_mismatch(const question& ask, bool sqlite);

/// An explanation when the two queries do not give the same number.
std::string difference(const question& ask, const std::string& what, const std::string& rows,
                       const std::string& derived);

/// Questions to a file of SQLite's.
question in_file(const std::string& file);

/// The first column of the first row; 0 when there is none.
int64_t ask_database(const std::string& file, const std::string& sql);

} // namespace phi::testing
