#pragma once
/// The trace of the actors: every message sent and handled, while it is switched on. Kept in
/// memory, bounded, for phictl; and as it happens to the log (PHI_TRACE=1) or to a file that
/// Perfetto and chrome://tracing load (PHI_TRACE=FILE.json).

#include "actors/ports/console_port.hpp"
#include "protocol/outcome.hpp"
#include "protocol/trace.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstdio>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace phi {

/// Where a trace goes beside memory.
struct trace_target {
  bool to_log = false;
  std::string file; ///< a path; empty: none
};

/// What a trace shows. Empty sets: everything.
struct trace_filter {
  std::set<std::string> actors; ///< the handling actor
  std::set<std::string> messages;
  bool user_data = false;
};

class trace_recorder : public message_tracer {
public:
  trace_recorder() = default;
  ~trace_recorder() override;

  /// Switches it on. Fails when the filter has a name that there is not, or the file cannot be
  /// written.
  outcome on(const trace_target& target, trace_filter filter);
  /// Switches it off; a file is ended, so that it loads. Any thread, also on a forced exit.
  void off();
  bool is_on() const { return tracing() == this; }

  /// What is in memory from line `from` on, `max_bytes` at most; behind the last line what is being
  /// handled now, and what waits to be.
  trace_page read(uint64_t from, size_t max_bytes) const;

  void sent(const traced_message& message, uint64_t origin) noexcept override;
  uint64_t began(traced_handling handling) noexcept override;
  void handled(uint64_t number) noexcept override;
  void worked(const char* work, int64_t began_ns, int64_t ended_ns) noexcept override;

private:
  struct send {
    int64_t at_ns = 0;
    uint64_t origin = 0;
    int64_t due_ns = 0; ///< when it is delivered: later than sent for one that is delayed
  };
  struct under_way {
    traced_handling call;
    int64_t began_ns = 0;
    std::optional<send> from;
  };
  using channel = std::tuple<uint64_t, uint64_t, uint64_t, bool>;
  using request_key = std::pair<uint64_t, uint64_t>;

  static channel channel_of(const traced_message& message);
  void forget_receiver(uint64_t actor);
  std::optional<send> take_send(const traced_handling& handling);
  bool wanted(const std::string& actor, caf::atom_value message) const;
  bool wanted(const under_way& handled) const;
  /// A line for each way that messages wait on: they were sent, are due, and nobody handles them.
  std::vector<nlohmann::ordered_json> waiting_lines(int64_t now) const;
  static int64_t waited_ns(const under_way& handled);
  /// The handling as a line. `unfinished`: it is under way still.
  nlohmann::ordered_json span_of(const under_way& handled, int64_t ended_ns, bool unfinished) const;
  void record(const under_way& handled, int64_t ended_ns, bool unfinished = false);
  void add(std::string line);
  int track_of(uint64_t actor, const char* name);
  std::string name_of(uint64_t actor) const;
  void log_message(const under_way& handled) const;
  void log_unfinished();
  void close_file();

  mutable std::mutex mutex_;
  trace_filter filter_;
  bool to_log_ = false;
  std::FILE* file_ = nullptr;
  uint64_t file_bytes_ = 0;
  std::deque<std::string> lines_;
  uint64_t first_line_ = 0; ///< the number of lines_.front()
  std::map<channel, std::deque<send>> sends_;
  size_t waiting_sends_ = 0;
  std::set<uint64_t> gone_;             ///< actors whose DOWN was seen
  std::map<request_key, send> answers_; ///< when the handling of a request ended
  std::map<uint64_t, under_way> handlings_;
  std::map<uint64_t, int64_t> last_ended_; ///< of each actor, for its DOWN
  std::map<uint64_t, std::string> names_;
  std::map<std::string, int> tracks_;
  uint64_t next_number_ = 1;
  uint64_t next_arrow_ = 1;
};

} // namespace phi
