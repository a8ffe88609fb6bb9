#pragma once
/// One line a request in the log. Never what lets in or identifies: no header but the request's
/// id, no query, no body.

#include "config/config.hpp"
#include "server/http/exchanges.hpp"

#include <string>
#include <string_view>

namespace phi::http {

/// Whether requests are told at all; asked before anything is made for a line. With logging.access
/// they are told at level info, else at debug.
bool wants_requests(const config& settings);

/// A request has been answered, with a body of `bytes`.
void log_request(const config& settings, std::string_view method, const exchange& answered,
                 int status, size_t bytes, const std::string& client);

/// A path as it may be told: cut, and without what stands behind `access_token` there, in whatever
/// case and however escaped, for an address that somebody has put together wrongly.
std::string path_to_tell(std::string_view path);

/// The address that a connection comes from; "gone" once nobody knows it any more.
std::string peer_of(const connection_link& link);

/// What came on `link` was no request that could be served, and is answered with `why`.
void log_refusal(const config& settings, error_code why, const connection_link& link,
                 std::string_view request_id);

} // namespace phi::http
