#pragma once
/// CloudEvents 1.0 (cloudevents.io) as events of ours. `source` and `id` are the identity, whatever
/// way the event comes, `time` is the time. `data` is the rest: members that are called as fields
/// of ours are these fields, all others are kept in `extra`; with an `extra` of its own it speaks
/// our vocabulary, and what is unknown is refused. `type` is the feature; where `data` names one,
/// it is the action; where they name both, it is kept in `extra`. So is `subject`, each unless data
/// say what is there. Extension attributes are checked, and not kept.

#include "server/api/event_builder.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phi::api {

/// An attribute of a CloudEvent in binary mode, where each is a header field `ce-` + name.
struct cloud_attribute {
  std::string name; ///< in small letters, without `ce-`
  std::string text; ///< UTF-8
};

/// Whether a name is of one of the attributes that every CloudEvent has.
bool is_required_attribute(std::string_view name);

class cloud_event_reader {
public:
  /// `to` outlives it; `begin` of the builder comes before each of these, and its `finish` within.
  explicit cloud_event_reader(event_builder& to) : to_(to) {}

  /// A whole CloudEvent: an object with the attributes and the data (structured and batched mode).
  bool read(simdjson::dom::element item);

  /// Attributes without the data, and the data as JSON or, in `text`, as what they are; neither:
  /// there are none (binary mode).
  bool read(const std::vector<cloud_attribute>& attributes,
            const std::optional<simdjson::dom::element>& data, std::string_view text);

private:
  struct found;

  bool take(found& so_far, std::string_view name, simdjson::dom::element value);
  bool take_context(found& so_far, std::string_view name, std::string_view text);
  bool check_name(std::string_view name);
  bool check_extension(std::string_view name, simdjson::dom::element value);
  bool build(const found& event);
  bool take_required(const found& event);
  bool take_data(const found& event);
  bool take_members(simdjson::dom::object data);
  bool take_type(const found& event);
  bool keep_beside_data(const found& event, size_t which);
  place_of_value at(std::string_view name) const { return {before_, name}; }
  bool refuse_nul(const place_of_value& from);
  bool add_extra(simdjson::dom::key_value_pair member);
  void add_extra(std::string_view name, const std::string& json);

  event_builder& to_;
  std::string_view before_; ///< the name of an attribute where it comes from
  std::string extra_;       ///< members, without the braces
};

} // namespace phi::api
