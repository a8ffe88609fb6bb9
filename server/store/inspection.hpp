#pragma once
/// What an operator asks of the database beside statistics: the last events, whether roll-ups and
/// rows agree, a copy. On the reading connection.

#include "protocol/query.hpp"
#include "server/store/sqlite.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace phi::store {

/// `{events: [...], last}`: those behind `what.after`, or the last `what.top` ones without it;
/// `last` is where to go on. Users' hashes and `extra` are left out.
nlohmann::ordered_json recent_events(database& db, const query& what);

/// `{checks: [{what, rows, rollups, ok}], ok}`: each roll-up against the raw rows.
nlohmann::ordered_json verify(database& db);

/// Whether `file` is a sound database of ours: "20 000 events, schema 1". Throws with what is
/// wrong.
std::string check_file(const std::string& file);

/// Copies the database as it is now to the new file `to`, opens the copy and checks it: `{file,
/// bytes, events}`. Throws on any error, and then leaves no file.
nlohmann::ordered_json back_up(database& db, const std::string& to);

} // namespace phi::store
