#pragma once
/// What a reload may change: holds the settings wanted against those in effect.

#include "config/config.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace phi {

/// Keys that take effect at the next start only.
std::span<const std::string_view> restart_keys();

struct merged_config {
  config next; ///< the settings wanted, but for those that need a restart: they stay
  std::vector<std::string> changed;       ///< "logging.level: \"info\" -> \"debug\""
  std::vector<std::string> needs_restart; ///< the same
};

merged_config merge(const config& running, const config& wanted);

} // namespace phi
