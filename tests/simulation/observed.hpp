#pragma once
/// What is seen of a run from outside, by who looks for what must not be: requests and their
/// answers, processes and their ends.

#include "actors/exit_report.hpp"
#include "protocol/config_ptr.hpp"
#include "protocol/ingest.hpp"
#include "protocol/time.hpp"
#include "tests/simulation/machine.hpp"
#include "tests/simulation/storage.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace phi::simulation {

/// A request to take events in, or a question.
struct seen_request {
  ticket number = 0;
  process_id process = 0;
  bool question = false;
  std::vector<digest> identities; ///< of its events
  uint32_t rejected = 0;          ///< events beside these that were not valid
  time_point sent{};
  int answers = 0;
  std::optional<ingest_outcome> said; ///< by the service, the first time
  bool timed_out = false;             ///< answered by the listener for the service
};

enum class ending : uint8_t {
  none,
  by_itself,
  by_deadline,       ///< the last resort at its time
  by_user,           ///< the last resort, for who asked for it
  orphaned,          ///< the supervisor has died
  by_watchdog,       ///< somebody is stuck
  crashed,           ///< killed by the plan
  killed_by_manager, ///< it took too long to stop
};

/// One run of one instance.
struct seen_process {
  process_id id = 0;
  size_t instance = 0;
  time_point began{};
  config_ptr settings; ///< in force now
  config_ptr at_stop;  ///< when the stop began
  std::optional<duration> manager_limit;
  std::optional<time_point> stop_began;    ///< as the supervisor told
  stop_mode wished = stop_mode::lame_duck; ///< the most that was asked for by signals
  std::vector<service_state> states;
  duration stood_still{};             ///< as a whole, since it began
  std::set<std::string> died;         ///< actors that ended otherwise than they should
  std::set<std::string> died_in_stop; ///< of these
  exit_report draft;                  ///< of the stop, as last told
  std::optional<exit_report> report;
  ending ended = ending::none;
  time_point ended_at{};
  exit_code code = exit_code::clean;
  bool listens = false;
  size_t in_flight = 0; ///< requests on the listener
  bool store_open = false;
  bool store_closed_well = false;
  uint64_t submitted = 0; ///< events handed to the actors
  uint64_t own = 0;       ///< of these, about the service's own requests
  uint64_t recovered = 0; ///< events that the spool had at its start
  bool last = false;      ///< told to stop when nothing was wrong any more
};

struct violation {
  std::string checker;
  std::string text;
};

/// All that there is, for who looks.
struct seen_world {
  machine& on;
  database& stored;
  std::vector<std::unique_ptr<spool_disk>>& disks;
  std::map<ticket, seen_request>& requests;
  std::map<process_id, seen_process>& processes;
  size_t clients_waiting = 0; ///< at the end, long after the last fault
};

/// Looks for breaches of one invariant. Its functions are called as things happen.
class checker {
public:
  explicit checker(std::string_view name) : name_(name) {}
  virtual ~checker() = default;
  std::string_view name() const { return name_; }

  virtual void answered(const seen_world&, const seen_request&, const ingest_outcome&) {}
  virtual void state_shown(const seen_world&, const seen_process&, service_state) {}
  /// An actor has left by itself, or died.
  virtual void actor_gone(const seen_world&, const seen_process&, const std::string&, bool) {}
  virtual void ledger_seen(const seen_world&, const seen_process&, const ledger_counts&) {}
  virtual void stop_moved(const seen_world&, const seen_process&) {}
  virtual void process_ended(const seen_world&, const seen_process&) {}
  /// Faults and clients are over for long, and all processes have been stopped.
  virtual void run_ended(const seen_world&) {}

  std::vector<violation> found;

protected:
  void complain(std::string text) { found.push_back({std::string{name_}, std::move(text)}); }
  void complain(const seen_process& process, const std::string& text) {
    complain("process " + std::to_string(process.id) + ": " + text);
  }

private:
  std::string_view name_;
};

using checker_list = std::vector<std::unique_ptr<checker>>;

/// One of each: checkers/*.hpp.
checker_list all_checkers();

} // namespace phi::simulation
