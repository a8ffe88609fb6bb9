#pragma once
/// This process, its threads, others on this machine, and the machine itself.

#include "protocol/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace phi {

// -- this process -------------------------------------------------------------------------------

int process_id();

/// The environment, name and value.
std::vector<std::pair<std::string, std::string>> environment_variables();

/// From now on only our own user may read, write or enter what this process makes, whatever mode it
/// is made with. Before other threads.
void keep_new_files_private();

/// Ends this process as a power cut would: nothing of it runs any more.
void kill_this_process();

/// What this process takes of the machine now.
struct process_usage {
  duration processor{}; ///< of all its threads, since it began
  uint64_t resident_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t threads = 0;
  uint64_t open_files = 0;
  uint64_t most_open_files = 0; ///< the limit
};

/// What the system does not tell is 0.
process_usage usage_of_process();

// -- its threads --------------------------------------------------------------------------------

/// The number of this thread, by which the system's tools show it.
int thread_id();

/// How the system's tools call this thread; up to 15 characters.
void name_this_thread(const char* name);

/// What a thread has had of the processors since it began.
struct thread_times {
  duration ran{};
  duration waited{}; ///< ready to run, but others had the processors
};

/// Of a thread of this process, by its `thread_id`; nothing when the system does not tell.
std::optional<thread_times> times_of_thread(int thread);

// -- others -------------------------------------------------------------------------------------

/// Whether there is certainly no process with that number, as seen from here.
bool process_is_gone(int64_t id);

struct process_facts {
  char state = 0; ///< as ps(1) shows it, Z: has ended; 0: not known
  std::string
    started; ///< in ticks since the machine was; differs for a later one of the same number
};

process_facts facts_of_process(int64_t id);

/// Where a number of a process means something: this run of this machine, and within it the
/// container. A text that no other place has.
std::string place_of_process_ids();

// -- the machine --------------------------------------------------------------------------------

/// What the machine is called; empty: it has no name.
std::string host_name();

/// Fills up to 256 bytes with random ones of the system, good for secrets. False: it has none.
bool fill_with_random(void* to, size_t size);

/// For how long the machine has slept since it was started.
duration time_suspended();

} // namespace phi
