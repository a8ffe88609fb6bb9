#pragma once
/// Every error the service can answer with, in one table: name, HTTP status, title.

#include <cstdint>
#include <string_view>

namespace phi {

enum class error_code : uint8_t {
  none,
  // A request that is wrong as a whole.
  bad_http,
  unknown_method,
  unsupported_version,
  unsupported_transfer_coding,
  bad_request_target,
  missing_host,
  uri_too_long,
  header_too_large,
  body_too_large,
  expanded_too_large,
  too_many_events,
  request_timeout,
  unsupported_media_type,
  unsupported_encoding,
  bad_encoding,
  invalid_json,
  empty_body,
  invalid_query,
  not_found,
  method_not_allowed,
  unauthorized,
  forbidden,
  rate_limited,
  nothing_valid,
  atomic_refused,
  // One event in a request.
  not_an_object,
  unknown_field,
  duplicate_field,
  wrong_type,
  out_of_range,
  too_long,
  event_too_large,
  too_deep,
  forbidden_character,
  missing_field,
  invalid_time,
  refused_by_store,
  // The service cannot take it now.
  overloaded,
  stopping,
  store_unavailable,
  spool_full,
  spool_failed,
  outcome_unknown,
  query_timeout,
  too_many_questions,
  too_many_streams,
  questions_unavailable,
  not_ready,
  internal,
  // Actors that cannot start or go on.
  start_failed,
  actor_failed,
};

struct error_facts {
  error_code code;
  std::string_view name;  ///< as in the field `code` of an answer
  int http_status;        ///< 0 for errors that are never an answer of their own
  std::string_view title; ///< the short text of RFC 9457
};

/// The row of `code`.
const error_facts& facts(error_code code);

inline std::string_view to_string(error_code code) {
  return facts(code).name;
}

} // namespace phi
