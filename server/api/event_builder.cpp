#include "server/api/event_builder.hpp"

#include "protocol/own_request.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/api/time_trouble.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

namespace phi::api {
namespace {

namespace dom = simdjson::dom;

/// 7 days: sums of millions of them fit into 64 bits of microseconds.
constexpr double max_duration_ms = 604'800'000;

std::string at_most(size_t bytes, std::string_view key) {
  return "expected at most " + std::to_string(bytes) + " bytes (" + std::string{key} + ")";
}

/// Whether nothing of a text can be seen: it has white space of Unicode only, or marks that have no
/// width.
bool is_blank(std::string_view text) {
  constexpr std::string_view invisible[] = {
    " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\u0085", "\u00a0", "\u1680",
    "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008",
    "\u2009", "\u200a", "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\ufeff"};
  while (!text.empty()) {
    auto found = std::find_if(std::begin(invisible), std::end(invisible),
                              [&](std::string_view mark) { return text.starts_with(mark); });
    if (found == std::end(invisible))
      return false;
    text.remove_prefix(found->size());
  }
  return true;
}

} // namespace

std::string place_of_value::text() const {
  std::string out{before};
  if (!before.starts_with('/'))
    return out.append(name);
  for (char c : name.substr(0, 64))
    out += c == '~' ? std::string{"~0"} : c == '/' ? std::string{"~1"} : std::string(1, c);
  return out;
}

bool has_nul(std::string_view text) {
  return std::memchr(text.data(), 0, text.size()) != nullptr;
}

bool nul_inside(dom::element value) {
  std::string_view text;
  dom::array list;
  dom::object members;
  if (!value.get(text))
    return has_nul(text);
  if (!value.get(list)) {
    for (auto item : list)
      if (nul_inside(item))
        return true;
  } else if (!value.get(members)) {
    for (auto [name, item] : members)
      if (has_nul(name) || nul_inside(item))
        return true;
  }
  return false;
}

bool event_builder::begin(int64_t now_us, size_t bytes) {
  now_ = {};
  source_ = id_ = user_ = {};
  seen_ = 0;
  now_us_ = now_us;
  return bytes <= limits_.event_bytes || refuse_as_too_large();
}

bool event_builder::refuse(error_code code, std::string pointer, std::string message) {
  refusal_ = {.code = code, .pointer = std::move(pointer), .message = std::move(message)};
  return false;
}

bool event_builder::refuse_as_too_large() {
  return refuse(error_code::event_too_large, "",
                "an event may have up to " + std::to_string(limits_.event_bytes)
                  + " bytes (stats.max_event_bytes)");
}

bool event_builder::take_once(event_field which, const place_of_value& from) {
  if (has(which))
    return refuse(error_code::duplicate_field, from, "the field is given twice");
  seen_ |= bit_of(which);
  return true;
}

bool event_builder::take(event_field which, dom::element value, const place_of_value& from) {
  if (value.is_null())
    return take_once(which, from);
  switch (which) {
    case event_field::status: return take_once(which, from) && take_status(value, from);
    case event_field::duration: return take_once(which, from) && take_duration(value, from);
    case event_field::extra:
      if (!value.is_object())
        return refuse(error_code::wrong_type, from, "expected an object");
      if (nul_inside(value))
        return refuse(error_code::forbidden_character, from,
                      "texts must not hold the character NUL");
      return take_extra(simdjson::minify(value), from);
    default: break;
  }
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS)
    return take_text(which, text, from);
  double number = 0;
  if (which == event_field::time && value.get(number) == simdjson::SUCCESS)
    return refuse(error_code::wrong_type, from, what_is_wrong_with_time(number));
  return refuse(error_code::wrong_type, from,
                which == event_field::time ? "expected a text such as 2026-01-31T12:00:00Z"
                                           : "expected a text");
}

std::string* event_builder::text_of(event_field which) {
  switch (which) {
    case event_field::feature: return &now_.feature;
    case event_field::action: return &now_.action;
    case event_field::route: return &now_.route;
    case event_field::method: return &now_.method;
    case event_field::user_hash: return &now_.user_hash;
    case event_field::user_kind: return &now_.user_kind;
    case event_field::instance: return &now_.instance;
    default: return nullptr;
  }
}

std::string_view* event_builder::view_of(event_field which) {
  switch (which) {
    case event_field::id: return &id_;
    case event_field::source: return &source_;
    case event_field::user: return &user_;
    default: return nullptr;
  }
}

bool event_builder::take_text(event_field which, std::string_view text,
                              const place_of_value& from) {
  if (!take_once(which, from))
    return false;
  if (which == event_field::time)
    return take_time(text, from);
  if (text.size() > limits_.text_bytes)
    return refuse(error_code::too_long, from, at_most(limits_.text_bytes, "stats.max_text_bytes"));
  if (has_nul(text))
    return refuse(error_code::forbidden_character, from,
                  "the text must not hold the character NUL");
  bool names = which == event_field::feature || which == event_field::route;
  if (names && !text.empty() && is_blank(text))
    return refuse(error_code::out_of_range, from,
                  "the text is blank; give a name, or leave it out");
  if (auto* to = text_of(which))
    *to = text;
  else if (auto* view = view_of(which))
    *view = text;
  return true;
}

bool event_builder::take_status(dom::element value, const place_of_value& from) {
  constexpr auto expected = "expected a whole number from 100 to 599";
  double status = 0; // some languages write 200.0
  if (value.get(status) != simdjson::SUCCESS || status != std::floor(status))
    return refuse(error_code::wrong_type, from, expected);
  if (status < 100 || status > 599)
    return refuse(error_code::out_of_range, from, expected);
  now_.status = static_cast<int32_t>(status);
  return true;
}

bool event_builder::take_duration(dom::element value, const place_of_value& from) {
  double ms = 0;
  if (value.get(ms) != simdjson::SUCCESS)
    return refuse(error_code::wrong_type, from, "expected a number of milliseconds");
  if (!(ms >= 0 && ms <= max_duration_ms))
    return refuse(error_code::out_of_range, from, "expected 0 to 604800000 milliseconds (7 days)");
  now_.duration_us = std::llround(ms * 1000);
  return true;
}

bool event_builder::take_time(std::string_view text, const place_of_value& from) {
  auto time = parse_rfc3339(text);
  if (!time)
    return refuse(error_code::invalid_time, from, what_is_wrong_with_time(text));
  if (*time > now_us_ + limits_.max_future_us)
    return refuse(error_code::invalid_time, from,
                  "the time is more than " + std::to_string(limits_.max_future_us / 1'000'000)
                    + " seconds ahead of our clock (stats.max_future_secs)");
  if (*time < now_us_ - limits_.max_age_us)
    return refuse(error_code::invalid_time, from,
                  "the time is more than " + std::to_string(limits_.max_age_us / 86'400'000'000)
                    + " days ago (stats.max_age_days)");
  if (limits_.start_at_us && *time < *limits_.start_at_us)
    return refuse(error_code::invalid_time, from,
                  "the time is before " + format_rfc3339(*limits_.start_at_us)
                    + " (stats.start_at)");
  now_.time_us = *time;
  return true;
}

bool event_builder::take_extra(std::string text, const place_of_value& from) {
  if (!take_once(event_field::extra, from))
    return false;
  if (text.size() > limits_.extra_bytes)
    return refuse(error_code::too_long, from,
                  at_most(limits_.extra_bytes, "stats.max_extra_bytes"));
  now_.extra = std::move(text);
  return true;
}

bool event_builder::finish(const place_of_value& needed) {
  if (now_.feature.empty() && now_.route.empty())
    return refuse(error_code::missing_field, needed, "an event needs a feature or a route");
  if (now_.action == own_request_action)
    return refuse(error_code::out_of_range, "/action",
                  "this action is kept for the service's own requests");
  if (!user_.empty() && !now_.user_hash.empty())
    return refuse(error_code::duplicate_field, "/userHash", "give user or userHash, not both");
  if (now_.footprint() - sizeof now_ + id_.size() + source_.size() > limits_.event_bytes)
    return refuse_as_too_large(); // inside an array
  now_.no_time = now_.time_us == 0;
  if (now_.no_time)
    now_.time_us = now_us_;
  now_.no_id = id_.empty();
  now_.identity = now_.no_id ? uuids_.next(now_us_) : identities_.of(source_, id_);
  if (!user_.empty())
    now_.user_hash = users_.of(user_);
  return true;
}

event_limits event_limits_of(const config& c) {
  const auto& s = c.stats;
  return {.events = static_cast<size_t>(s.max_events_per_request),
          .event_bytes = static_cast<size_t>(s.max_event_bytes),
          .text_bytes = static_cast<size_t>(s.max_text_bytes),
          .extra_bytes = static_cast<size_t>(s.max_extra_bytes),
          .max_future_us = s.max_future_secs * 1'000'000,
          .max_age_us = s.max_age_days * 86'400'000'000,
          .start_at_us = c.resolved.start_at_us};
}

} // namespace phi::api
