#pragma once
/// What the reader actor needs of a database.

#include "actors/ports/work_watch.hpp"
#include "config/config.hpp"
#include "protocol/outcome.hpp"
#include "protocol/questions.hpp"

#include <memory>
#include <string>

namespace phi {

/// One reading connection. Used by one thread.
class reader_port {
public:
  virtual ~reader_port() = default;

  virtual outcome open() = 0;

  /// Answers, or ends soon after `watch` says so: query_timeout, stopping. Never throws.
  virtual query_answer answer(const reader_query& query, work_watch& watch) = 0;
  virtual query_answer answer(const inspection_task& task, work_watch& watch) = 0;

  /// From now on these settings hold, as far as they can change while it is open.
  virtual void apply_settings(const config& settings) = 0;

  virtual void close() = 0;
};

using reader_port_ptr = std::shared_ptr<reader_port>;

} // namespace phi
