#include "server/api/event_reader.hpp"

#include "protocol/own_request.hpp"

#include "config/keys.hpp"
#include "protocol/text/byte_order_mark.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/api/array_parts.hpp"
#include "server/platform/digest.hpp"

#include <simdjson.h>

#include <array>
#include <cmath>
#include <cstring>

namespace phi::api {
namespace {

namespace dom = simdjson::dom;

/// Deep enough for any sane `extra`; a bound on recursion.
constexpr size_t max_depth = 32;
/// 7 days: sums of millions of them fit into 64 bits of microseconds.
constexpr double max_duration_ms = 604'800'000;

enum field : uint8_t {
  f_id,
  f_source,
  f_time,
  f_feature,
  f_action,
  f_route,
  f_method,
  f_status,
  f_duration,
  f_user,
  f_user_hash,
  f_user_kind,
  f_instance,
  f_extra,
  field_count,
};

constexpr std::array<std::string_view, field_count> field_names{
  "id",     "source",     "time", "feature",  "action",   "route",    "method",
  "status", "durationMs", "user", "userHash", "userKind", "instance", "extra",
};

/// The field called `name`, or field_count. Lengths first: the hot path.
field find_field(std::string_view name) {
  for (uint8_t i = 0; i < field_count; ++i)
    if (field_names[i].size() == name.size()
        && std::memcmp(field_names[i].data(), name.data(), name.size()) == 0)
      return static_cast<field>(i);
  return field_count;
}

std::string suggestion(std::string_view name) {
  static const std::vector<std::string> known(field_names.begin(), field_names.end());
  // People write snake_case as well.
  std::string camel;
  for (size_t i = 0; i < name.size(); ++i)
    if (name[i] == '_' && i + 1 < name.size())
      camel += static_cast<char>(std::toupper(static_cast<unsigned char>(name[++i])));
    else
      camel += name[i];
  auto best = closest(camel, known);
  return best.empty() ? "put fields of your own into extra" : "did you mean " + best + "?";
}

bool has_nul(std::string_view text) {
  return std::memchr(text.data(), 0, text.size()) != nullptr;
}

/// A name as a token of a JSON pointer (RFC 6901).
std::string pointer_to(std::string_view name) {
  std::string out = "/";
  for (char c : name.substr(0, 64))
    out += c == '~' ? std::string{"~0"} : c == '/' ? std::string{"~1"} : std::string(1, c);
  return out;
}

/// Whether any text or name inside holds a NUL, which PostgreSQL cannot keep.
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

error_code code_of(simdjson::error_code code) {
  return code == simdjson::DEPTH_ERROR ? error_code::too_deep : error_code::invalid_json;
}

/// Whether a value is at fault, and not what divides it from the others.
bool is_about_value(simdjson::error_code code) {
  return code == simdjson::NUMBER_ERROR || code == simdjson::STRING_ERROR
         || code == simdjson::UTF8_ERROR || code == simdjson::UNESCAPED_CHARS
         || code == simdjson::DEPTH_ERROR;
}

/// The same of what is read of `text`.
bool is_about_value(simdjson::error_code code, std::string_view text) {
  return is_about_value(code)
         || ((code == simdjson::TAPE_ERROR || code == simdjson::N_ATOM_ERROR)
             && holds_no_number(text));
}

std::string what_is_wrong(simdjson::error_code code, std::string_view text) {
  if (!is_about_value(code) && is_about_value(code, text))
    return "JSON has no NaN and no Infinity; leave the field out, or send null";
  switch (code) {
    case simdjson::DEPTH_ERROR:
      return "the JSON is nested deeper than " + std::to_string(max_depth) + " levels";
    case simdjson::UTF8_ERROR: return "the body is not valid UTF-8";
    case simdjson::NUMBER_ERROR: return "a number is malformed or too large";
    case simdjson::STRING_ERROR: return "a string holds a bad escape or half a surrogate pair";
    case simdjson::UNESCAPED_CHARS:
      return "a string holds a control character that must be escaped";
    case simdjson::UNCLOSED_STRING: return "a string is not closed";
    case simdjson::EMPTY: return "there is no JSON value";
    default: return std::string{"the JSON is malformed ("} + simdjson::error_message(code) + ")";
  }
}

} // namespace

class event_reader::work {
public:
  work(event_limits limits, const std::string& salt) : limits_(limits), users_(salt) {}

  void set_limits(const event_limits& limits) { limits_ = limits; }

  read_events json(std::string_view body, int64_t now_us) {
    begin(now_us);
    body = without_byte_order_mark(body);
    if (body.find_first_not_of(" \t\r\n") == body.npos)
      return whole(error_code::empty_body, "send one event, or an array of events");
    dom::element root;
    if (auto code = parse(body, root))
      return by_parts(body, code);
    dom::array list;
    if (root.get(list)) { // an error: it is no array
      event_size_ = body.size();
      add(root);
      return std::move(out_);
    }
    if (list.size() == 0)
      return whole(error_code::empty_body, "the array holds no event");
    if (list.size() > limits_.events)
      return too_many();
    for (auto item : list) {
      event_size_ = 0;
      add(item);
    }
    return std::move(out_);
  }

  /// The JSON was not read, for `code`. In an array that may be the fault of some events only.
  read_events by_parts(std::string_view body, simdjson::error_code code) {
    auto parts = is_about_value(code, body) ? parts_of_array(body, limits_.events) : std::nullopt;
    if (!parts)
      return whole(code_of(code), what_is_wrong(code, body));
    if (parts->size() > limits_.events)
      return too_many();
    for (auto part : *parts) {
      auto wrong = add_part(static_cast<size_t>(part.data() - body.data()), part.size(), 0);
      if (wrong && !is_about_value(wrong, part))
        return whole(code_of(wrong), what_is_wrong(wrong, part)); // then it is no JSON at all
    }
    return std::move(out_);
  }

  read_events ndjson(std::string_view body, int64_t now_us) {
    begin(now_us);
    body = without_byte_order_mark(body);
    load(body);
    for (size_t at = 0; at < body.size();) {
      auto end = std::min(body.find('\n', at), body.size());
      auto line = body.substr(at, end - at);
      if (line.find_first_not_of(" \t\r") != line.npos) {
        if (index_ >= limits_.events)
          return too_many();
        add_part(at, line.size(), line.size());
      }
      at = end + 1;
    }
    if (index_ == 0)
      return whole(error_code::empty_body, "send one event a line");
    return std::move(out_);
  }

private:
  void begin(int64_t now_us) {
    now_us_ = now_us;
    index_ = 0;
    out_ = {};
  }

  /// simdjson reads a little past the end, so the text is kept with room behind it.
  void load(std::string_view body) {
    if (text_.size() < body.size() + simdjson::SIMDJSON_PADDING)
      text_.resize(body.size() + simdjson::SIMDJSON_PADDING);
    std::memcpy(text_.data(), body.data(), body.size());
    std::memset(text_.data() + body.size(), ' ', simdjson::SIMDJSON_PADDING);
  }

  simdjson::error_code parse(std::string_view body, dom::element& root) {
    load(body);
    return parse_at(0, body.size(), root);
  }

  simdjson::error_code parse_at(size_t at, size_t size, dom::element& root) {
    if (parser_.max_depth() != max_depth || parser_.capacity() < size)
      if (auto code = parser_.allocate(std::max<size_t>(size, 4096), max_depth))
        return code;
    return parser_.parse(text_.data() + at, size, false).get(root);
  }

  read_events whole(error_code code, std::string detail) {
    return {.error = code, .detail = std::move(detail)};
  }

  read_events too_many() {
    return whole(error_code::too_many_events,
                 "a request may hold up to " + std::to_string(limits_.events) + " events");
  }

  /// A part of the text that was loaded: an event of its own. `measured`: its size as text, where
  /// that is what counts; 0: what is in it counts, as in an array that is read whole.
  simdjson::error_code add_part(size_t at, size_t size, size_t measured) {
    dom::element root;
    event_size_ = measured;
    bool fits = measured <= limits_.event_bytes;
    auto code = fits ? parse_at(at, size, root) : simdjson::SUCCESS;
    if (fits && !code) {
      add(root);
      return code;
    }
    fits ? reject(code_of(code), "", what_is_wrong(code, {text_.data() + at, size}))
         : reject(error_code::event_too_large, "", too_large_text());
    ++index_;
    return code;
  }

  std::string too_large_text() const {
    return "an event may have up to " + std::to_string(limits_.event_bytes) + " bytes";
  }

  void add(dom::element item) {
    seen_ = 0;
    now_ = {};
    source_ = id_ = user_ = {};
    if (read(item)) {
      finish();
      out_.events.push_back(std::move(now_));
    }
    ++index_;
  }

  bool reject(error_code code, std::string pointer, std::string message) {
    out_.rejected.push_back({index_, code, std::move(pointer), std::move(message)});
    return false;
  }

  bool read(dom::element item) {
    dom::object members;
    if (item.get(members))
      return reject(error_code::not_an_object, "", "an event must be a JSON object");
    if (event_size_ > limits_.event_bytes)
      return reject(error_code::event_too_large, "", too_large_text());
    for (auto [name, value] : members) {
      auto which = find_field(name);
      if (which == field_count)
        return reject(error_code::unknown_field, pointer_to(name), suggestion(name));
      if (seen_ & (1u << which))
        return reject(error_code::duplicate_field, pointer_to(name), "the field is given twice");
      seen_ |= 1u << which;
      if (!value.is_null() && !read_field(which, value))
        return false;
    }
    return check();
  }

  bool check() {
    if (now_.feature.empty() && now_.route.empty())
      return reject(error_code::missing_field, "/feature", "an event needs a feature or a route");
    if (now_.action == own_request_action)
      return reject(error_code::out_of_range, "/action",
                    "this action is kept for the service's own requests");
    if (!user_.empty() && !now_.user_hash.empty())
      return reject(error_code::duplicate_field, "/userHash", "give user or userHash, not both");
    if (now_.footprint() - sizeof now_ + id_.size() + source_.size() > limits_.event_bytes)
      return reject(error_code::event_too_large, "", too_large_text()); // inside an array
    if (now_.time_us == 0)
      now_.time_us = now_us_;
    return true;
  }

  /// What is known only when all fields are.
  void finish() {
    now_.identity = id_.empty() ? uuids_.next(now_us_) : identities_.of(source_, id_);
    if (!user_.empty())
      now_.user_hash = users_.of(user_);
  }

  bool read_field(field which, dom::element value) {
    switch (which) {
      case f_id: return read_view(which, value, id_);
      case f_source: return read_view(which, value, source_);
      case f_time: return read_time(value);
      case f_feature: return read_text(which, value, now_.feature);
      case f_action: return read_text(which, value, now_.action);
      case f_route: return read_text(which, value, now_.route);
      case f_method: return read_text(which, value, now_.method);
      case f_status: return read_status(value);
      case f_duration: return read_duration(value);
      case f_user: return read_view(which, value, user_);
      case f_user_hash: return read_text(which, value, now_.user_hash);
      case f_user_kind: return read_text(which, value, now_.user_kind);
      case f_instance: return read_text(which, value, now_.instance);
      case f_extra: return read_extra(value);
      case field_count: break;
    }
    return true;
  }

  /// A view into the parser's memory: good until the next event is parsed.
  bool read_view(field which, dom::element value, std::string_view& to) {
    auto pointer = [&] { return "/" + std::string{field_names[which]}; };
    if (value.get(to) != simdjson::SUCCESS)
      return reject(error_code::wrong_type, pointer(), "expected a text");
    if (to.size() > limits_.text_bytes)
      return reject(error_code::too_long, pointer(),
                    "expected at most " + std::to_string(limits_.text_bytes) + " bytes");
    if (has_nul(to))
      return reject(error_code::forbidden_character, pointer(),
                    "the text must not hold the character NUL");
    return true;
  }

  bool read_text(field which, dom::element value, std::string& to) {
    std::string_view text;
    if (!read_view(which, value, text))
      return false;
    to = text;
    return true;
  }

  bool read_status(dom::element value) {
    int64_t status = 0;
    if (value.get(status) != simdjson::SUCCESS)
      return reject(error_code::wrong_type, "/status", "expected a whole number from 100 to 599");
    if (status < 100 || status > 599)
      return reject(error_code::out_of_range, "/status", "expected a whole number from 100 to 599");
    now_.status = static_cast<int32_t>(status);
    return true;
  }

  bool read_duration(dom::element value) {
    double ms = 0;
    if (value.get(ms) != simdjson::SUCCESS)
      return reject(error_code::wrong_type, "/durationMs", "expected a number of milliseconds");
    if (!(ms >= 0 && ms <= max_duration_ms))
      return reject(error_code::out_of_range, "/durationMs",
                    "expected 0 to 604800000 milliseconds (7 days)");
    now_.duration_us = std::llround(ms * 1000);
    return true;
  }

  bool read_time(dom::element value) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS)
      return reject(error_code::wrong_type, "/time",
                    "expected a text such as 2026-01-31T12:00:00Z");
    auto time = parse_rfc3339(text);
    if (!time)
      return reject(error_code::invalid_time, "/time",
                    "expected an RFC 3339 time such as 2026-01-31T12:00:00Z");
    if (*time > now_us_ + limits_.max_future_us)
      return reject(error_code::invalid_time, "/time",
                    "the time is too far in the future (stats.max_future_secs)");
    if (*time < now_us_ - limits_.max_age_us)
      return reject(error_code::invalid_time, "/time",
                    "the time is too far in the past (stats.max_age_days)");
    if (limits_.start_at_us && *time < *limits_.start_at_us)
      return reject(error_code::invalid_time, "/time", "the time is before stats.start_at");
    now_.time_us = *time;
    return true;
  }

  bool read_extra(dom::element value) {
    if (!value.is_object())
      return reject(error_code::wrong_type, "/extra", "expected an object");
    if (nul_inside(value))
      return reject(error_code::forbidden_character, "/extra",
                    "texts must not hold the character NUL");
    auto text = simdjson::minify(value);
    if (text.size() > limits_.extra_bytes)
      return reject(error_code::too_long, "/extra",
                    "expected at most " + std::to_string(limits_.extra_bytes) + " bytes");
    now_.extra = std::move(text);
    return true;
  }

  event_limits limits_;
  dom::parser parser_;
  std::vector<char> text_;
  identity_digest identities_;
  uuid7_source uuids_;
  keyed_hash users_;

  read_events out_;
  event now_;
  std::string_view source_, id_, user_;
  uint32_t seen_ = 0;
  uint32_t index_ = 0;
  size_t event_size_ = 0; ///< 0: inside an array, where the length of one event's text is not known
  int64_t now_us_ = 0;
};

event_reader::event_reader(event_limits limits, const std::string& salt)
  : work_(std::make_unique<work>(limits, salt)) {}

event_reader::~event_reader() = default;

void event_reader::set_limits(const event_limits& limits) {
  work_->set_limits(limits);
}

read_events event_reader::read_json(std::string_view body, int64_t now_us) {
  return work_->json(body, now_us);
}

read_events event_reader::read_ndjson(std::string_view body, int64_t now_us) {
  return work_->ndjson(body, now_us);
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
