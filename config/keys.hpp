#pragma once
/// The table of all configuration keys: the one place that says which there are.

#include "config/config.hpp"
#include "protocol/text/closest.hpp"

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace phi {

using key_target = std::variant<bool*, int64_t*, std::string*, secret*, std::vector<std::string>*>;

struct config_key {
  std::string_view path; ///< "shutdown.watchdog.timeout_secs"
  key_target (*in)(config&);
  std::string_view help; ///< one sentence, with the unit
  int64_t min = 0;       ///< of numbers
  int64_t max = 0;
  std::vector<std::string_view> choices = {}; ///< of texts; empty = any
};

std::span<const config_key> all_keys();

/// Keys of the original, or of later versions, that are accepted and have no effect in this one.
std::span<const std::string_view> reserved_keys();

/// `APP_` + the path in upper case with `_`.
std::string environment_name(std::string_view path);

/// The value as TOML text; `(set)` or `(not set)` for a secret.
std::string show_value(const config_key& key, const config& values);

} // namespace phi
