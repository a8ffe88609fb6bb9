#pragma once
/// The way to a session: which of a URL's servers it is. Included in this folder only.

#include "actors/ports/work_watch.hpp"
#include "server/store/postgres/url.hpp"

#include <chrono>
#include <string>

struct pg_conn;

namespace phi::store {

/// What connections have in common.
struct postgres_access {
  std::string url;
  std::chrono::seconds connect_timeout{}; ///< for all hosts of the URL together
  bool for_writing = true;                ///< only a server that takes writes will do
  std::string name;                       ///< shown in pg_stat_activity
};

/// libpq's texts end with a newline and may have several lines.
std::string one_line(const char* text);

/// A session on the first server of the URL that fits; whoever calls owns it. Each address has an
/// equal share of the time that is left, so that one which is silent keeps nobody from the next.
/// `silence`: how long what was sent may stay unacknowledged later. `watch` may be null. Blocks up
/// to the connect time-out, names that are looked up included; a `connect_timeout` of the URL does
/// not count. Throws postgres_error, with the cause of each address and without `secrets`, or
/// postgres_ended within work_watch::interval when the watch says so.
pg_conn* open_session(const postgres_access& access, std::chrono::milliseconds silence,
                      const secret_words& secrets, work_watch* watch);

} // namespace phi::store
