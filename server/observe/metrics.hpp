#pragma once
/// Everything that the service measures about itself, as a table: a row for each metric.

#include "actors/ports/http_port.hpp"
#include "config/config.hpp"
#include "protocol/health.hpp"
#include "protocol/platform/process.hpp"
#include "protocol/questions.hpp"
#include "protocol/status.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace phi {

/// How the run before this one ended.
struct last_stop {
  bool crashed = false; ///< it left no report
  int exit_code = 0;    ///< unless it crashed
  double took_s = 0;    ///< unless it crashed
  int64_t at_us = 0;    ///< since 1970: when it ended, or when its crash was noticed
};

/// What happened in this run, and before it.
struct life_facts {
  uint64_t reloads = 0;
  uint64_t reloads_refused = 0;
  std::optional<last_stop> last; ///< nothing: this is the first run
};

/// What the metrics are made of: what is known already. Nothing of it walks over the data.
struct metrics_source {
  std::optional<service_status> status; ///< nothing: the supervisor did not answer
  health_view health;
  http_counts http;
  std::vector<loop_life> loops;
  process_usage process;
  life_facts life;
  config_ptr settings; ///< in effect; never null
  int64_t started_us = 0;

  /// What an actor says; null: it is not there, or did not answer in time.
  const actor_status* says(std::string_view actor) const;
};

std::string write_metrics(const metrics_source& from, metrics_format format);

} // namespace phi
