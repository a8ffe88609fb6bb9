#pragma once
/// What is wrong with a time that an event gives.

#include <string>
#include <string_view>

namespace phi::api {

/// Of a text that `parse_rfc3339` does not take: what to change.
std::string what_is_wrong_with_time(std::string_view text);

/// Of a number where a text belongs: the text that it probably stands for, whether it counts
/// seconds, milliseconds or microseconds.
std::string what_is_wrong_with_time(double number);

} // namespace phi::api
