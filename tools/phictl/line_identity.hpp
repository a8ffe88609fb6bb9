#pragma once
/// Gives an event an identity without reading it as JSON: what its sender wrote goes on to the
/// service as it is, also what is wrong with it, and no depth of it can hurt.

#include <string>
#include <string_view>

namespace phi::ctl {

/// The same line with `"id":"..."` in its object, where that has no id, or null for one. What is no
/// object comes back as it is: the service says what is wrong with it. `id` needs no escapes.
std::string with_identity(std::string line, std::string_view id);

} // namespace phi::ctl
