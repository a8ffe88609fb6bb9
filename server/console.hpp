#pragma once
/// The process, as an operator's console sees it.

#include "actors/ports/console_port.hpp"
#include "config/config.hpp"
#include "server/logging.hpp"
#include "server/service.hpp"
#include "server/settings_source.hpp"
#include "server/trace.hpp"

#include <functional>

namespace phi {

class console : public console_port {
public:
  /// Everything must outlive it. `listeners`: where the HTTP server listens now.
  console(const service& process, process_log& log, const settings_source& source,
          trace_recorder& trace, const watch_port& watch,
          std::function<std::vector<std::string>()> listeners)
    : process_(process),
      log_(log),
      source_(source),
      trace_(trace),
      watch_(watch),
      listeners_(std::move(listeners)) {}

  std::string log_level() const override;
  std::string set_log_level(const std::string& level) override;
  std::string trace_on(bool to_log, std::vector<std::string> actors,
                       std::vector<std::string> messages, bool user_data) override;
  void trace_off() override { trace_.off(); }
  trace_page read_trace(uint64_t from, size_t max_bytes) const override {
    return trace_.read(from, max_bytes);
  }
  std::vector<shown_setting> settings() const override;
  settings_difference difference() const override;
  std::vector<examined> examine() const override;
  double processor_ms(int thread) const override;
  std::string state_directory() const override;
  std::vector<std::string> listeners() const override { return listeners_(); }

private:
  const service& process_;
  process_log& log_;
  const settings_source& source_;
  trace_recorder& trace_;
  const watch_port& watch_;
  std::function<std::vector<std::string>()> listeners_;
};

} // namespace phi
