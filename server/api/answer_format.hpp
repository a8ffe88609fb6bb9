#pragma once
/// The formats of answers that are lists: `json`, `csv`, `ndjson`.

#include <string_view>

namespace phi::api {

/// A literal. `format`: one of those above.
std::string_view media_type_of(std::string_view format);

/// The one that a client likes best, by its header field Accept (RFC 9110, section 12.5.1); of
/// those that it likes as well, and where it likes none, `json`.
std::string_view accepted_format(std::string_view accept);

} // namespace phi::api
