#pragma once
/// Where the settings of this process come from: one file and the environment. Read at the start
/// and again at each reload.

#include "actors/log.hpp"
#include "config/loader.hpp"

#include <string>

namespace phi {

class settings_source {
public:
  explicit settings_source(std::string file) : file_(std::move(file)) {}

  /// Reads and checks everything, also what only the libraries of this room can check (time zone,
  /// proxies). Never throws.
  loaded_config load() const;

private:
  std::string file_;
};

/// The level in effect: $PHI_LOG, else logging.level.
log_level level_of(const config& settings);

} // namespace phi
