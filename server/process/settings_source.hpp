#pragma once
/// Where the settings of this process come from: one file and the environment. Read at the start
/// and again at each reload.

#include "actors/log.hpp"
#include "config/loader.hpp"
#include "config/merge.hpp"
#include "protocol/outcome.hpp"

#include <string>

namespace phi {

/// What the file and the environment say now, against settings in effect.
struct considered_settings {
  outcome accepted; ///< a failure: they must not be used; one problem a line
  loaded_config loaded;
  merged_config merged;
};

class settings_source {
public:
  explicit settings_source(std::string file) : file_(std::move(file)) {}

  /// Reads and checks everything, also what only the libraries of this room can check (time zone,
  /// proxies, where PostgreSQL is). Never throws.
  loaded_config load() const;

  /// What a reload would do to `running`. Reads and checks everything, also the mixture of what can
  /// change live and what cannot.
  considered_settings consider(const config& running) const;

private:
  std::string file_;
};

/// The level in effect: $PHI_LOG, else logging.level.
log_level level_of(const config& settings);

} // namespace phi
