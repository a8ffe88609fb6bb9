#pragma once
/// Error answers: RFC 9457 problem+json.

#include "protocol/errors.hpp"
#include "protocol/reply.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phi::api {

/// One thing that is wrong inside a request.
struct problem_detail {
  std::optional<uint32_t> index; ///< of the event in the request
  error_code code = error_code::none;
  std::string pointer; ///< JSON pointer into the event, "/status"
  std::string message;
};

/// The body `{type, title, status, detail, code, requestId, errors}`.
std::string problem_json(error_code code, std::string_view detail, std::string_view request_id,
                         const std::vector<problem_detail>& errors = {});

/// The body of a successful ingest answer. `rejected`: before the store saw the request.
std::string ingest_json(const ingest_outcome& outcome, const std::vector<problem_detail>& rejected);

/// The events that the store refused, among those that were read out of the request: what was
/// rejected then, by its place in the request, and these, in order.
std::vector<problem_detail> with_refused(std::vector<problem_detail> rejected,
                                         const std::vector<refused_event>& refused);

/// 200, or 202 for events that are on local disk and not yet in the database.
inline int http_status(const ingest_outcome& outcome) {
  return outcome.spooled ? 202 : 200;
}

/// "OK", "Bad Request", ...
std::string_view reason_phrase(int status);

} // namespace phi::api
