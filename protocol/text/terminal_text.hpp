#pragma once
/// Text that others wrote, shown to people: as a terminal or a line of a log can take it.

#include <string>
#include <string_view>

namespace phi {

/// Everything that would steer a terminal, break a line, reverse the order of letters or is not
/// UTF-8, as an escape: `\n`, `\x1b`, `\u202e`. All other text stays as it is.
std::string printable(std::string_view text);

/// The same for JSON that is shown: DEL and the control characters above 127, which JSON allows,
/// become `\u009b`; it stays the same JSON.
std::string printable_json(std::string_view json);

/// Where the first byte is that is not UTF-8; npos: nowhere.
size_t find_invalid_utf8(std::string_view text);

} // namespace phi
