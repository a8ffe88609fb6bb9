#pragma once
/// What to say of a time zone that there is not.

#include <string>

namespace phi::api {

/// Advice to somebody who gave a name that `is_time_zone` does not know: the zone that is meant,
/// where that is clear.
std::string what_is_wrong_with_zone(const std::string& name);

} // namespace phi::api
