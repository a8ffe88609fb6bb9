#pragma once
/// The last steps of a restore: what was there is set aside, the checked copy takes its place.
/// phictl takes them; when it is killed between two of them, whoever comes next finishes: the next
/// start of the service, or the next `phictl restore`. A file in the state directory says what is
/// under way.

#include "protocol/outcome.hpp"

#include <optional>
#include <string>

namespace phi {

/// A database as it lies on disk: the file, and those that SQLite keeps beside it under the same
/// name. They belong together: a log is never left for another file to be applied to.
inline constexpr const char* database_parts[] = {"", "-wal", "-shm", "-journal"};

struct restore_plan {
  std::string database; ///< absolute path of the database
  std::string aside;    ///< the new name of what is there now
};

/// Where the copy grows and is checked: beside the database, so that one rename puts it in place.
std::string restored_copy(const std::string& database);

/// The first free name for what is there now.
std::string free_name_aside(const std::string& database);

/// What lies beside a database under a name of `free_name_aside`, the newest; empty: nothing.
std::string set_aside_earlier(const std::string& database);

/// The restore that is under way in a state directory.
std::optional<restore_plan> restore_under_way(const std::string& state_directory);

/// Promises that the restore will be finished. The copy must be whole, checked and on disk. After
/// a failure nothing is promised, and the copy is removed: so a promise that comes back with the
/// power is about nothing, and changes nothing.
outcome promise_restore(const std::string& state_directory, const restore_plan& plan);

/// Takes the steps that are left and forgets the promise; where the copy is gone, what was set
/// aside goes back. May be killed and called again at any point.
outcome finish_restore(const std::string& state_directory, const restore_plan& plan);

/// Removes a copy that no promise is about: of a restore that ended before its check.
void remove_unfinished_copy(const std::string& database);

/// What `database_place` says where events are kept elsewhere.
inline constexpr const char* postgres_place = "postgres";

/// The database that the service of a state directory had at its last start: an absolute path, or
/// `postgres_place`. Empty: it never ran.
std::string database_place(const std::string& state_directory);

/// Keeps it, for a restore while the service does not run.
outcome keep_database_place(const std::string& state_directory, const std::string& place);

} // namespace phi
