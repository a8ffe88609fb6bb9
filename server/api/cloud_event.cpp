#include "server/api/cloud_event.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace phi::api {
namespace {

namespace dom = simdjson::dom;

enum attribute : size_t {
  specversion,
  id,
  source,
  type,
  time,
  subject,
  datacontenttype,
  dataschema
};
constexpr std::array<std::string_view, 8> attribute_names{
  "specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema"};
constexpr size_t required_attributes = 4; // the first of them

size_t find_attribute(std::string_view name) {
  return static_cast<size_t>(std::find(attribute_names.begin(), attribute_names.end(), name)
                             - attribute_names.begin());
}

bool is_attribute_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

/// Fields that are attributes of a CloudEvent: in its data the same names mean something else.
bool belongs_to_data(event_field which) {
  return which != event_field::none && which != event_field::id && which != event_field::source
         && which != event_field::time;
}

std::string as_json(std::string_view text) {
  return nlohmann::json(text).dump();
}

} // namespace

struct cloud_event_reader::found {
  std::array<std::optional<std::string_view>, attribute_names.size()> context;
  std::optional<dom::element> data;
  std::optional<std::string_view> text;   ///< data that is no JSON
  std::optional<std::string_view> base64; ///< data that is no text

  /// Whether the data say themselves what stands under this name in `extra`, or all that does.
  bool names(std::string_view name) const {
    dom::object members;
    if (!data || data->get(members) != simdjson::SUCCESS)
      return false;
    dom::element extra;
    return !members.at_key(name).error()
           || (!members.at_key("extra").get(extra) && !extra.is_null());
  }
};

bool is_required_attribute(std::string_view name) {
  return find_attribute(name) < required_attributes;
}

bool cloud_event_reader::read(dom::element item) {
  before_ = "/";
  found event;
  dom::object members;
  if (item.get(members) != simdjson::SUCCESS)
    return to_.refuse(error_code::not_an_object, "",
                      "a CloudEvent is a JSON object; several of them in an array are sent as "
                      "application/cloudevents-batch+json");
  for (auto [name, value] : members)
    if (!value.is_null() && !take(event, name, value))
      return false;
  return build(event);
}

bool cloud_event_reader::read(const std::vector<cloud_attribute>& attributes,
                              const std::optional<dom::element>& data, std::string_view text) {
  before_ = "ce-";
  found event{.data = data};
  if (!text.empty())
    event.text = text;
  for (const auto& [name, value] : attributes)
    if (find_attribute(name) < attribute_names.size() ? !take_context(event, name, value)
                                                      : !check_name(name))
      return false;
  return build(event);
}

bool cloud_event_reader::take(found& so_far, std::string_view name, dom::element value) {
  auto from = at(name);
  if (name == "data") {
    if (so_far.data)
      return to_.refuse(error_code::duplicate_field, from, "the member is given twice");
    so_far.data = value;
    return true;
  }
  bool base64 = name == "data_base64";
  if (!base64 && find_attribute(name) == attribute_names.size())
    return check_extension(name, value);
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS)
    return to_.refuse(error_code::wrong_type, from, "expected a text");
  if (!base64)
    return take_context(so_far, name, text);
  if (so_far.base64)
    return to_.refuse(error_code::duplicate_field, from, "the member is given twice");
  so_far.base64 = text;
  return true;
}

bool cloud_event_reader::take_context(found& so_far, std::string_view name, std::string_view text) {
  auto& to = so_far.context[find_attribute(name)];
  if (to)
    return to_.refuse(error_code::duplicate_field, at(name), "the attribute is given twice");
  if (text.empty())
    return to_.refuse(error_code::missing_field, at(name),
                      "the attribute " + std::string{name} + " of a CloudEvent must not be empty");
  to = text;
  return true;
}

bool cloud_event_reader::check_name(std::string_view name) {
  return is_attribute_name(name)
         || to_.refuse(error_code::unknown_field, at(name),
                       "the names of a CloudEvent's attributes have small letters and digits; what "
                       "is your own goes into data");
}

bool cloud_event_reader::check_extension(std::string_view name, dom::element value) {
  if (!check_name(name))
    return false;
  auto from = at(name);
  if (!value.is_string() && !value.is_bool() && !value.is_int64())
    return to_.refuse(
      error_code::wrong_type, from,
      "an attribute is a text, a whole number, true or false; what has members goes "
      "into data");
  return true;
}

bool cloud_event_reader::build(const found& event) {
  extra_.clear();
  if (!take_required(event) || !take_data(event) || !take_type(event)
      || !keep_beside_data(event, subject))
    return false;
  if (!extra_.empty() && !to_.take_extra("{" + extra_ + "}", place_of_value{"/", "data"}))
    return false;
  return to_.finish(at("type"));
}

bool cloud_event_reader::take_required(const found& event) {
  for (size_t i = 0; i < required_attributes; ++i)
    if (!event.context[i])
      return to_.refuse(error_code::missing_field, at(attribute_names[i]),
                        "a CloudEvent needs the attribute " + std::string{attribute_names[i]});
  if (*event.context[specversion] != "1.0")
    return to_.refuse(error_code::out_of_range, at("specversion"),
                      "expected 1.0, the version of CloudEvents that is understood here");
  const auto& when = event.context[time];
  return to_.take_text(event_field::id, *event.context[id], at("id"))
         && to_.take_text(event_field::source, *event.context[source], at("source"))
         && (!when || to_.take_text(event_field::time, *when, at("time")));
}

bool cloud_event_reader::take_data(const found& event) {
  if (event.base64) {
    if (event.data)
      return to_.refuse(error_code::duplicate_field, at("data_base64"),
                        "give data or data_base64, not both");
    if (has_nul(*event.base64))
      return refuse_nul(at("data_base64"));
    add_extra("data_base64", as_json(*event.base64));
  }
  if (event.text) {
    if (has_nul(*event.text))
      return refuse_nul(place_of_value{"/", "data"});
    add_extra("data", as_json(*event.text));
  }
  dom::object members;
  if (!event.data || event.data->is_null())
    return true;
  if (event.data->get(members) == simdjson::SUCCESS)
    return take_members(members);
  if (nul_inside(*event.data))
    return refuse_nul(place_of_value{"/", "data"});
  add_extra("data", simdjson::minify(*event.data));
  return true;
}

bool cloud_event_reader::take_members(dom::object data) {
  dom::element given;
  bool has_extra = data.at_key("extra").get(given) == simdjson::SUCCESS && !given.is_null();
  for (auto member : data) {
    auto which = find_event_field(member.key);
    const place_of_value from{"/data/", member.key};
    if (belongs_to_data(which)) {
      if (!member.value.is_null() && !to_.take(which, member.value, from))
        return false;
    } else if (has_extra) {
      return to_.refuse(error_code::unknown_field, from, hint_for_field(member.key));
    } else if (!add_extra(member)) {
      return false;
    }
  }
  return true;
}

/// What happened is the feature, or what was done with the feature that the data name; where they
/// name both, it is kept beside them.
bool cloud_event_reader::take_type(const found& event) {
  auto named_by_type = to_.has(event_field::feature) ? event_field::action : event_field::feature;
  if (!to_.has(named_by_type))
    return to_.take_text(named_by_type, *event.context[type], at("type"));
  return keep_beside_data(event, type);
}

/// In `extra`, where nothing stands in its way.
bool cloud_event_reader::keep_beside_data(const found& event, size_t which) {
  const auto& text = event.context[which];
  auto name = attribute_names[which];
  if (!text || event.names(name))
    return true;
  if (has_nul(*text))
    return refuse_nul(at(name));
  add_extra(name, as_json(*text));
  return true;
}

bool cloud_event_reader::add_extra(dom::key_value_pair member) {
  if (has_nul(member.key) || nul_inside(member.value))
    return refuse_nul(place_of_value{"/data/", member.key});
  extra_ += (extra_.empty() ? "" : ",") + simdjson::minify(member);
  return true;
}

void cloud_event_reader::add_extra(std::string_view name, const std::string& json) {
  extra_ += (extra_.empty() ? "" : ",") + as_json(name) + ":" + json;
}

bool cloud_event_reader::refuse_nul(const place_of_value& from) {
  return to_.refuse(error_code::forbidden_character, from, "texts must not hold the character NUL");
}

} // namespace phi::api
