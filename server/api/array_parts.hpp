#pragma once
/// Takes an array of JSON apart without reading its values: where one of them is of no use, the
/// others are.

#include <optional>
#include <string_view>
#include <vector>

namespace phi::api {

/// The elements of the array that `text` is, as views into it, without the blanks around them.
/// Nothing: it is no array, or brackets, quotes and commas do not fit. At most `most` + 1 elements.
std::optional<std::vector<std::string_view>> parts_of_array(std::string_view text, size_t most);

/// Whether NaN or Infinity stands in it outside of strings: JSON has neither, and some languages
/// write them all the same.
bool holds_no_number(std::string_view text);

} // namespace phi::api
