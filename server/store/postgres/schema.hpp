#pragma once
/// The schema in PostgreSQL: versioned, migrated once however many instances start.

#include "server/store/postgres/connection.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace phi::store {

/// Partitions are made for so many days ahead.
inline constexpr int32_t days_ahead = 7;

int current_postgres_schema();

/// What a migration would do now, a line a step; empty: nothing.
std::vector<std::string> migration_plan(postgres_connection& db);

/// Brings the schema up to date and makes the partitions from yesterday to a week ahead of today,
/// by the database's clock. Waits for another instance that does the same, and for whoever holds a
/// lock, as long as a call may take; does nothing when nothing is to do. Counts of an earlier
/// schema are taken over later, by whoever counts. Throws when the schema is too new for this
/// program, and postgres_misfit when the database does not let us make or use it.
void migrate(postgres_connection& db);

/// Connects and migrates. When either fails, or our clock and the database's differ, it throws and
/// `db` is closed: nobody writes into a schema that was not looked at.
void connect_and_migrate(postgres_connection& db, const postgres_access& access);

/// Which database this is; one that has no id gets one.
std::string postgres_id_of(postgres_connection& db);

/// Makes the partitions that are missing from `first_day` to `last_day` (days since 1970). Within a
/// transaction that holds the lock of the schema. A day whose events are in the partition of all
/// others already stays there. Returns how many were made.
int make_partitions(postgres_connection& db, int32_t first_day, int32_t last_day);

/// "event_2026_01_31".
std::string partition_of(int32_t day);

} // namespace phi::store
