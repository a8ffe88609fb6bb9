#pragma once
/// One event out of its values: each is checked against its limits, and what a store could not hold
/// is refused by its place, the same for every store.

#include "config/config.hpp"
#include "protocol/event.hpp"
#include "server/api/event_fields.hpp"
#include "server/api/problem.hpp"
#include "server/platform/digest.hpp"

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace phi::api {

struct event_limits {
  size_t events = 0;      ///< in one request
  size_t event_bytes = 0; ///< JSON text of one event
  size_t text_bytes = 0;
  size_t extra_bytes = 0;
  int64_t max_future_us = 0;
  int64_t max_age_us = 0;
  std::optional<int64_t> start_at_us;
};

event_limits event_limits_of(const config& c);

/// Where a value comes from: "/data/" and "status", "ce-" and "id".
struct place_of_value {
  std::string_view before;
  std::string_view name;

  /// As a JSON pointer (RFC 6901), or as the name of a header field.
  std::string text() const;
};

/// Takes the values of one event after the other. What it is given must live until `finish`.
class event_builder {
public:
  event_builder(const event_limits& limits, const std::string& user_hash_salt)
    : limits_(limits),
      users_(user_hash_salt) {}

  const event_limits& limits() const { return limits_; }
  void set_limits(const event_limits& limits) { limits_ = limits; }

  /// A new event, taken in at `now_us`. `bytes`: the size of its text; 0: it is inside an array,
  /// where that is not known, and what is in it counts. False as the others are.
  bool begin(int64_t now_us, size_t bytes);

  // Each is false when the event is refused: `refusal` says why, and nothing more may be given.

  /// A field of an event of our own vocabulary; null is as good as leaving it out.
  bool take(event_field which, simdjson::dom::element value, const place_of_value& from);
  /// A field that is a text, or the time.
  bool take_text(event_field which, std::string_view text, const place_of_value& from);
  /// A whole JSON object for `extra`.
  bool take_extra(std::string text, const place_of_value& from);
  /// Whether it was given, be it as null.
  bool has(event_field which) const { return (seen_ & bit_of(which)) != 0; }

  /// The event is whole. `needed`: where a feature is missed when there is neither it nor a route.
  bool finish(const place_of_value& needed);

  bool refuse(error_code code, std::string pointer, std::string message);
  bool refuse(error_code code, const place_of_value& from, std::string message) {
    return refuse(code, from.text(), std::move(message));
  }
  /// Without an index.
  problem_detail&& take_refusal() { return std::move(refusal_); }
  /// After `finish`.
  event&& take_event() { return std::move(now_); }

private:
  static uint32_t bit_of(event_field which) { return 1u << static_cast<uint32_t>(which); }
  std::string* text_of(event_field which);
  std::string_view* view_of(event_field which);
  bool take_once(event_field which, const place_of_value& from);
  bool take_status(simdjson::dom::element value, const place_of_value& from);
  bool take_duration(simdjson::dom::element value, const place_of_value& from);
  bool take_time(std::string_view text, const place_of_value& from);
  bool refuse_as_too_large();

  event_limits limits_;
  identity_digest identities_;
  uuid7_source uuids_;
  keyed_hash users_;

  event now_;
  std::string_view source_, id_, user_;
  uint32_t seen_ = 0;
  int64_t now_us_ = 0;
  problem_detail refusal_;
};

/// Whether a text holds a NUL, which PostgreSQL cannot keep.
bool has_nul(std::string_view text);

/// Whether any text or name inside holds one.
bool nul_inside(simdjson::dom::element value);

} // namespace phi::api
