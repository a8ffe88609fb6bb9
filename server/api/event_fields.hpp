#pragma once
/// The fields of an event as clients send them, and what they are called elsewhere.

#include <cstdint>
#include <string>
#include <string_view>

namespace phi::api {

enum class event_field : uint8_t {
  id,
  source,
  time,
  feature,
  action,
  route,
  method,
  status,
  duration,
  user,
  user_hash,
  user_kind,
  instance,
  extra,
  none, ///< no field has this name
};

std::string_view name_of(event_field which);

/// The field called `name`, exactly so.
event_field find_event_field(std::string_view name);

/// What to tell somebody who sent a field of this name, which there is not: the field that is meant
/// where the name is known or misspelt.
std::string hint_for_field(std::string_view name);

} // namespace phi::api
