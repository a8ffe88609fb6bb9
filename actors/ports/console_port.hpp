#pragma once
/// What the admin actor needs of the process to answer an operator.

#include "protocol/health.hpp"
#include "protocol/outcome.hpp"
#include "protocol/questions.hpp"
#include "protocol/reply.hpp"
#include "protocol/status.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace phi {

/// One key of the configuration as it is in effect. Secrets show only whether they are set.
struct shown_setting {
  std::string path;
  std::string value;
  std::string origin; ///< "default", "FILE:LINE", "environment NAME", "credential NAME"
};

/// What the file and the environment say now, against what is in effect.
struct settings_difference {
  std::vector<std::string> live;
  std::vector<std::string> needs_restart;
};

/// One thing that the doctor has examined.
struct finding {
  std::string subject; ///< what was examined, such as "disk"; for people
  finding_verdict verdict = finding_verdict::ok;
  finding_code code = finding_code::none;
  std::string text;   ///< how it is, for people
  std::string remedy; ///< what to do; empty when there is nothing to do
};

/// A part of the trace in memory.
struct trace_page {
  std::vector<std::string> lines; ///< JSON objects of a Chrome trace
  std::optional<uint64_t> next;   ///< where to go on; nothing: that was all
  uint64_t dropped = 0;           ///< lines that were pushed out
};

/// A bearer token, without its secret.
struct shown_token {
  std::string id;
  std::string name;
  std::vector<std::string> scopes;
  std::string created; ///< RFC 3339
  std::string expires; ///< RFC 3339; empty: never
  bool expired = false;
};

struct created_token {
  std::string secret; ///< nothing of the service stores it
  shown_token kept;
  std::string notice; ///< what else it changes; empty: nothing
};

/// What may be asked on the admin socket beside the endpoints of HTTP.
using operator_question = std::variant<reader_query, inspection_task, spool_task, cluster_task>;

/// Thread-safe; called from the admin actor, blocks no longer than a small file takes.
class console_port {
public:
  virtual ~console_port() = default;

  virtual std::string log_level() const = 0;
  /// Until the next reload. Fails when there is no such level.
  virtual outcome set_log_level(const std::string& level) = 0;

  /// `to_log`: else in memory only. Empty lists of names: everything. Fails when there is no such
  /// name.
  virtual outcome trace_on(bool to_log, std::vector<std::string> actors,
                           std::vector<std::string> messages, bool user_data) = 0;
  virtual void trace_off() = 0;
  virtual trace_page read_trace(uint64_t from, size_t max_bytes) const = 0;

  virtual std::vector<shown_setting> settings() const = 0;
  /// Else what is wrong with them, and where.
  virtual result<settings_difference> difference() const = 0;
  /// What the doctor finds. `status`: as the supervisor told it; nothing when it did not answer.
  virtual std::vector<finding> examine(const std::optional<service_status>& status) const = 0;

  /// Answers a question in the words of the HTTP interface: path behind the prefix, query string.
  /// `then` is called once, in any thread; nothing is done for an asker who has gone.
  virtual void ask(const std::string& path, const std::string& query_string, gone_flag asker_gone,
                   std::function<void(query_answer)> then) = 0;
  /// The same for what only an operator may ask.
  virtual void ask(operator_question question, gone_flag asker_gone,
                   std::function<void(query_answer)> then) = 0;

  /// How the service is as a whole, as last seen.
  virtual health_view health() const = 0;

  /// All that is measured. `status`: as for `examine`.
  virtual std::string metrics(const std::optional<service_status>& status,
                              metrics_format format) const = 0;

  /// What has happened to the service, in this run and those before it: `{"rows":[...]}`, or the
  /// rows alone as `csv` or `ndjson`.
  virtual std::string lifecycle(std::string_view format) const = 0;

  /// Takes events in, one JSON object a line, as POST /events does. The answer has the same body.
  virtual void ingest(std::string_view lines, std::function<void(query_answer)> then) = 0;

  /// `scopes` of ingest, read and admin; `seconds` until it expires, or nothing. The first one ends
  /// the time when clients need none: when some have come without, that must be `confirmed`.
  virtual result<created_token> create_token(const std::string& name,
                                             const std::vector<std::string>& scopes,
                                             std::optional<int64_t> seconds, bool confirmed) = 0;
  virtual std::vector<shown_token> tokens() const = 0;
  /// Fails when there is no such token, or when that cannot be kept: then it is as it was.
  virtual outcome revoke_token(const std::string& id) = 0;

  /// Time on a processor of a thread of this process, in ms; negative: not known.
  virtual double processor_ms(int thread) const = 0;

  virtual std::string state_directory() const = 0;
  /// Names this run of the service among all others.
  virtual std::string run_id() const = 0;
  /// Of the database that the service writes to; empty: it has not come to it yet.
  virtual std::string database_id() const = 0;
  /// Where it listens, such as "127.0.0.1:3939".
  virtual std::vector<std::string> listeners() const = 0;
};

using console_port_ptr = std::shared_ptr<console_port>;

} // namespace phi
