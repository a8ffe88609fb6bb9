#pragma once
/// The process, as an operator's console sees it.

#include "actors/ports/console_port.hpp"
#include "actors/ports/http_port.hpp"
#include "config/config.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/api/event_reader.hpp"
#include "server/api/tokens.hpp"
#include "server/observe/logging.hpp"
#include "server/observe/trace.hpp"
#include "server/process/service.hpp"
#include "server/process/settings_source.hpp"

#include <functional>

namespace phi {

/// What the console learns of other rooms, in any thread.
struct console_views {
  std::function<std::vector<std::string>()> listeners; ///< where the HTTP server listens now
  std::function<http_counts()> http_counts_now;
  std::function<std::vector<loop_life>()> loops_alive;
  std::function<std::string()> database_id; ///< `store_port::database_id`
};

class console : public console_port {
public:
  /// Everything must outlive it.
  console(const service& process, process_log& log, const settings_source& source,
          trace_recorder& trace, const watch_port& watch, std::shared_ptr<backend_port> backend,
          std::shared_ptr<api::token_store> tokens, const std::string& salt, console_views views)
    : process_(process),
      log_(log),
      source_(source),
      trace_(trace),
      watch_(watch),
      backend_(std::move(backend)),
      tokens_(std::move(tokens)),
      reader_(api::event_limits_of(*process.settings()), salt),
      views_(std::move(views)) {}

  std::string log_level() const override;
  outcome set_log_level(const std::string& level) override;
  outcome trace_on(bool to_log, std::vector<std::string> actors, std::vector<std::string> messages,
                   bool user_data) override;
  void trace_off() override { trace_.off(); }
  trace_page read_trace(uint64_t from, size_t max_bytes) const override {
    return trace_.read(from, max_bytes);
  }
  std::vector<shown_setting> settings() const override;
  result<settings_difference> difference() const override;
  std::vector<finding> examine(const std::optional<service_status>& status) const override;
  void ask(const std::string& path, const std::string& query_string, gone_flag asker_gone,
           std::function<void(query_answer)> then) override;
  void ask(operator_question question, gone_flag asker_gone,
           std::function<void(query_answer)> then) override;
  health_view health() const override { return backend_->health(); }
  std::string metrics(const std::optional<service_status>& status,
                      metrics_format format) const override;
  std::string lifecycle(std::string_view format) const override {
    return life_answer(process_.life_rows(), format);
  }
  void ingest(std::string_view lines, std::function<void(query_answer)> then) override;
  result<created_token> create_token(const std::string& name,
                                     const std::vector<std::string>& scopes,
                                     std::optional<int64_t> seconds, bool confirmed) override;
  std::vector<shown_token> tokens() const override;
  outcome revoke_token(const std::string& id) override { return tokens_->revoke(id); }
  double processor_ms(int thread) const override;
  std::string state_directory() const override;
  std::string run_id() const override { return process_.run_id(); }
  std::string database_id() const override { return views_.database_id(); }
  std::vector<std::string> listeners() const override { return views_.listeners(); }

private:
  const service& process_;
  process_log& log_;
  const settings_source& source_;
  trace_recorder& trace_;
  const watch_port& watch_;
  std::shared_ptr<backend_port> backend_;
  std::shared_ptr<api::token_store> tokens_;
  api::event_reader reader_; ///< used by the admin actor only
  console_views views_;
  int64_t started_us_ = wall_clock_us();
};

} // namespace phi
