#pragma once
/// A database file as a whole: is it sound, and a copy of it.

#include "server/store/sqlite/connection.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace phi::store {

/// Whether `file` is a sound database of ours, of this version or an older one: "20 000 events,
/// schema 1". Throws with what is wrong, and when `watch` (null: nobody) ends it.
std::string check_file(const std::string& file, work_watch* watch = nullptr);

/// The same, and readies it to take another's place: the write-ahead log beside it is folded into
/// the file, which is whole by itself then, and it is told from the database that it is a copy of.
std::string settle_file(const std::string& file);

/// Copies the database as it is now to the new file `to`, whose free pages can go, opens the copy
/// and checks it: `{bytes, events}`. Throws on any error, and then leaves no file.
nlohmann::ordered_json back_up(sqlite_connection& db, const std::string& to, work_watch& watch);

} // namespace phi::store
