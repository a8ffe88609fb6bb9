#pragma once
/// When the faults are over everything drains: whoever sends is served, the queues and the spools
/// get empty, the counts are put right; and who is told to stop then stops as it should.

#include "tests/simulation/observed.hpp"

namespace phi::simulation {

class progress_checker : public checker {
public:
  progress_checker() : checker("progress_checker") {}

  void run_ended(const seen_world& world) override {
    for (size_t i = 0; i < world.disks.size(); ++i)
      if (auto waiting = world.disks[i]->waiting(world.stored.trouble.cursed); waiting > 0)
        complain(std::to_string(waiting) + " events are left in the spool of instance "
                 + std::to_string(i));
    if (world.stored.shared && world.stored.corrupted)
      complain("the counts are still wrong");
    if (world.clients_waiting > 0)
      complain(std::to_string(world.clients_waiting) + " clients are not served");
    for (const auto& [id, process] : world.processes)
      if (process.last && (process.ended != ending::by_itself || process.code != exit_code::clean))
        complain(process, "left with status " + std::to_string(static_cast<int>(process.code))
                            + " when nothing was wrong any more");
  }
};

} // namespace phi::simulation
