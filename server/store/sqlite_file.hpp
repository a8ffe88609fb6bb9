#pragma once
/// A database file as a whole: is it sound, and a copy of it.

#include "server/store/sqlite.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace phi::store {

/// Whether `file` is a sound database of ours, of this version or an older one: "20 000 events,
/// schema 1". Throws with what is wrong, and when `watch` (null: nobody) ends it.
std::string check_file(const std::string& file, work_watch* watch = nullptr);

/// The same, and folds the write-ahead log beside it into the file: it is whole by itself then.
std::string settle_file(const std::string& file);

/// Copies the database as it is now to the new file `to`, opens the copy and checks it: `{bytes,
/// events}`. Throws on any error, and then leaves no file.
nlohmann::ordered_json back_up(database& db, const std::string& to, work_watch& watch);

} // namespace phi::store
