#pragma once
/// The names of the files in the state directory that more than one part of the project knows.

#include <string>

namespace phi::state_files {

/// Locked as long as a service runs in the directory, and by whoever must be alone in it.
inline constexpr const char* lock = "phi.lock";

/// There from the start of a run to its end: found at the next start, the run before was ended by
/// force. JSON.
inline constexpr const char* running = "running.json";

/// How the last run ended. JSON.
inline constexpr const char* last_exit = "last-exit.json";

/// What has happened to the service, in this run and those before it. JSON.
inline constexpr const char* lifecycle = "lifecycle.json";

/// The tokens that were made with `phictl token`. JSON.
inline constexpr const char* tokens = "tokens.json";

/// The salt of the hashes of users where none is configured.
inline constexpr const char* user_hash_salt = "user_hash_salt";

/// What a restore has promised (restore_journal.hpp).
inline constexpr const char* restore_journal = "restore.journal";

/// Which database the last run had (restore_journal.hpp).
inline constexpr const char* database_path = "database.path";

/// Where a file of this name is.
inline std::string path(const std::string& state_directory, const char* name) {
  return state_directory + "/" + name;
}

} // namespace phi::state_files
