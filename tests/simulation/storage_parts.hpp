#pragma once
/// What the ports of a process to what survives it have in common. For storage.cpp and
/// spool_storage.cpp only.

#include "tests/simulation/storage.hpp"

#include <algorithm>

namespace phi::simulation {

/// Any port of a process: it blocks its actor, and has no effect when the process is no more.
class part_of_process {
public:
  part_of_process(machine& on, process_id owner) : on_(on), owner_(owner) {}

protected:
  void check_alive() const {
    if (on_.has_ended(owner_))
      throw process_killed{};
  }
  /// Waits, as who looks at its watch now and then; whether it has waited to the end.
  bool wait(duration time, work_watch* watch) const {
    while (time > duration::zero()) {
      auto slice = std::min<duration>(time, std::chrono::milliseconds{500});
      on_.block(slice);
      time -= slice;
      if (watch && watch->check() != end_cause::none)
        return false;
    }
    return true;
  }
  duration time(duration least, duration most) const { return on_.random().time(least, most); }

  machine& on_;
  process_id owner_;
};

std::shared_ptr<spool_port> make_spool(machine& on, process_id owner, spool_disk& disk,
                                       const storage_ports& told);

} // namespace phi::simulation
