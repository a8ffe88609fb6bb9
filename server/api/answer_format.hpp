#pragma once
/// The formats of answers that are lists (`json`, `csv`, `ndjson`), and of metrics.

#include "protocol/questions.hpp"

#include <string_view>

namespace phi::api {

/// A literal. `format`: one of those above.
std::string_view media_type_of(std::string_view format);

/// The one that a client likes best, by its header field Accept (RFC 9110, section 12.5.1); of
/// those that it likes as well, and where it likes none, `json`.
std::string_view accepted_format(std::string_view accept);

std::string_view media_type_of(metrics_format format);

/// The same for metrics: OpenMetrics only for who likes it better.
metrics_format accepted_metrics_format(std::string_view accept);

} // namespace phi::api
