#pragma once
/// Brings a database file to the schema of this version.

#include "server/store/sqlite/connection.hpp"

#include <string>

namespace phi::store {

/// The schema version this program writes.
int current_schema();

/// Creates or migrates, in one transaction a version. Returns the version found before. Throws
/// sqlite_error for a file that is not ours, or is of a newer version.
int migrate(sqlite_connection& db);

/// Whether there are roll-ups of an earlier schema, which nobody reads any more.
bool has_old_rollups(sqlite_connection& db);

/// Deletes some of their rows, a few milliseconds' worth, within a transaction. False: all are
/// gone.
bool drop_old_rollups(sqlite_connection& db);

/// Which database this is; one that has no id gets one.
std::string id_of(sqlite_connection& db);

/// A copy that takes a database's place is another one: it gets an id of its own when it is opened.
void forget_id(sqlite_connection& db);

} // namespace phi::store
