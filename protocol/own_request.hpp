#pragma once
/// How events about our own requests (stats.track_requests) are told from those of the users: they
/// are kept as rows, and no count of what users sent holds them.

#define PHI_OWN_REQUEST "phi:request"

#include <string_view>

namespace phi {

/// The `action` of such an event. Nobody else may send it.
inline constexpr std::string_view own_request_action = PHI_OWN_REQUEST;

} // namespace phi
