#pragma once
/// What is wrong with a text that is no JSON, and where.

#include "protocol/errors.hpp"

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>

namespace phi::api {

/// How deeply a body may be nested: enough for any sane `extra`, and a bound on recursion.
inline constexpr size_t deepest_json = 32;

error_code code_of(simdjson::error_code code);

/// Whether a value in `text` is at fault, and not what divides it from the others.
bool is_about_value(simdjson::error_code code, std::string_view text);

/// The same in words; `search`: with the place, for which the text is read once more, slowly.
std::string what_is_wrong(simdjson::error_code code, std::string_view text, bool search = true);

/// The place of the first byte in `text` that cannot be JSON, from 0; its size: more should follow.
/// Nothing: another reader of JSON finds no fault.
std::optional<size_t> place_of_fault(std::string_view text);

} // namespace phi::api
