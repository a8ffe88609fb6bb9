#include "protocol/errors.hpp"

#include <array>

namespace phi {
namespace {

using enum error_code;

// In the order of the enumeration; the static_assert below keeps it so.
constexpr std::array table{
  error_facts{none, "none", 200, "no error"},
  error_facts{bad_http, "bad_http", 400, "The request is not valid HTTP/1.1"},
  error_facts{unknown_method, "unknown_method", 501, "The method is not known here"},
  error_facts{unsupported_version, "unsupported_version", 505, "Only HTTP/1 is understood"},
  error_facts{unsupported_transfer_coding, "unsupported_transfer_coding", 501,
              "The only transfer coding is chunked"},
  error_facts{bad_request_target, "bad_request_target", 400, "The request target is not valid"},
  error_facts{missing_host, "missing_host", 400, "The Host header is missing"},
  error_facts{uri_too_long, "uri_too_long", 414, "The request target is too long"},
  error_facts{header_too_large, "header_too_large", 431, "The request header is too large"},
  error_facts{body_too_large, "body_too_large", 413, "The body is too large"},
  error_facts{expanded_too_large, "expanded_too_large", 413, "The expanded body is too large"},
  error_facts{too_many_events, "too_many_events", 413, "Too many events in one request"},
  error_facts{request_timeout, "request_timeout", 408, "The request did not arrive in time"},
  error_facts{unsupported_media_type, "unsupported_media_type", 415, "Unsupported media type"},
  error_facts{unsupported_encoding, "unsupported_encoding", 415, "Unsupported content encoding"},
  error_facts{bad_encoding, "bad_encoding", 400, "The body does not match its Content-Encoding"},
  error_facts{invalid_json, "invalid_json", 400, "The body is not valid JSON"},
  error_facts{empty_body, "empty_body", 400, "The body is empty"},
  error_facts{invalid_query, "invalid_query", 422, "A parameter is not valid"},
  error_facts{not_found, "not_found", 404, "There is nothing at this path"},
  error_facts{method_not_allowed, "method_not_allowed", 405, "The method is not allowed here"},
  error_facts{unauthorized, "unauthorized", 401, "A valid bearer token is needed"},
  error_facts{forbidden, "forbidden", 403, "This is not allowed"},
  error_facts{rate_limited, "rate_limited", 429, "Too many requests"},
  error_facts{nothing_valid, "nothing_valid", 400, "No event of the request is valid"},
  error_facts{atomic_refused, "atomic_refused", 400, "One event is not valid, so none was stored"},
  error_facts{not_an_object, "not_an_object", 0, "An event must be a JSON object"},
  error_facts{unknown_field, "unknown_field", 0, "Unknown field"},
  error_facts{duplicate_field, "duplicate_field", 0, "The field is given twice"},
  error_facts{wrong_type, "wrong_type", 0, "The field has the wrong type"},
  error_facts{out_of_range, "out_of_range", 0, "The value is out of range"},
  error_facts{too_long, "too_long", 0, "The text is too long"},
  error_facts{event_too_large, "event_too_large", 0, "The event is too large"},
  error_facts{too_deep, "too_deep", 400, "The value is nested too deeply"},
  error_facts{forbidden_character, "forbidden_character", 0,
              "The text holds a forbidden character"},
  error_facts{missing_field, "missing_field", 0, "A required field is missing"},
  error_facts{invalid_time, "invalid_time", 0, "The time is not valid or too far from now"},
  error_facts{refused_by_store, "refused_by_store", 0, "The database cannot hold this event"},
  error_facts{overloaded, "overloaded", 503, "The service has too much to do"},
  error_facts{stopping, "stopping", 503, "The service is stopping"},
  error_facts{store_unavailable, "store_unavailable", 503, "The store cannot take events now"},
  error_facts{spool_full, "spool_full", 503, "The database is away and the spool is full"},
  error_facts{spool_failed, "spool_failed", 503,
              "The database is away and the spool cannot be written"},
  error_facts{outcome_unknown, "outcome_unknown", 500, "The events may or may not be stored"},
  error_facts{query_timeout, "query_timeout", 503, "The query took too long"},
  error_facts{too_many_questions, "too_many_questions", 503, "Too many questions wait"},
  error_facts{too_many_streams, "too_many_streams", 503, "Too many clients have a live stream"},
  error_facts{questions_unavailable, "questions_unavailable", 503,
              "The database cannot be asked now"},
  error_facts{not_ready, "not_ready", 503, "The service is not ready"},
  error_facts{internal, "internal", 500, "Something went wrong inside"},
  error_facts{start_failed, "start_failed", 0, "An actor could not start"},
  error_facts{actor_failed, "actor_failed", 0, "An actor failed"},
};

constexpr bool in_order() {
  for (size_t i = 0; i < table.size(); ++i)
    if (static_cast<size_t>(table[i].code) != i)
      return false;
  return table.size() == static_cast<size_t>(actor_failed) + 1;
}
static_assert(in_order(), "the table of errors must follow the enumeration");

} // namespace

const error_facts& facts(error_code code) {
  return table[static_cast<size_t>(code)];
}

} // namespace phi
