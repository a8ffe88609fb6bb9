#pragma once
/// Brings a database file to the schema of this version.

#include "server/store/sqlite.hpp"

namespace phi::store {

/// The schema version this program writes.
int current_schema();

/// Creates or migrates, in one transaction a version. Returns the version found before. Throws
/// sqlite_error for a file that is not ours, or is of a newer version.
int migrate(database& db);

} // namespace phi::store
