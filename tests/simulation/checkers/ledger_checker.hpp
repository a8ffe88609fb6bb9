#pragma once
/// The ledger has each event in one place at all times, knows of none that was not handed over, and
/// counts none as stored twice.

#include "tests/simulation/observed.hpp"

#include <algorithm>

namespace phi::simulation {

class ledger_checker : public checker {
public:
  ledger_checker() : checker("ledger_checker") {}

  void ledger_seen(const seen_world& world, const seen_process& process,
                   const ledger_counts& counts) override {
    if (!counts.balanced())
      complain(process, "received " + std::to_string(counts.received) + ", accounted for "
                          + std::to_string(counts.accounted()));
    for (auto part : {counts.stored, counts.duplicates, counts.rejected, counts.spooled,
                      counts.set_aside, counts.in_queue})
      if (part > counts.received)
        complain(process, "a part of the ledger is more than the whole: " + std::to_string(part));
    // A spool that did not know whether it had a batch may find more than was there at the start.
    auto& found = in_doubt_[process.id];
    const auto& disk = *world.disks.at(process.instance);
    found |= disk.trouble.was_in_doubt;
    if (!found && counts.received > process.submitted + process.recovered)
      complain(process, "received " + std::to_string(counts.received) + ", handed over "
                          + std::to_string(process.submitted + process.recovered));
    stored_[process.id] = counts.stored;
  }

  void process_ended(const seen_world& world, const seen_process& process) override {
    if (!process.report)
      return;
    const auto& counts = process.report->ledger;
    if (!counts)
      return;
    ledger_seen(world, process, *counts);
    if (process.code == exit_code::clean)
      check_nothing_overlooked(world, process, *counts);
  }

  void run_ended(const seen_world& world) override {
    uint64_t stored = 0;
    for (const auto& [process, count] : stored_)
      stored += count;
    bool in_doubt = std::any_of(world.disks.begin(), world.disks.end(), [](const auto& disk) {
      return disk->trouble.was_in_doubt; // what it finds later counts once more, as it is meant
    });
    if (stored > world.stored.rows.size() && !in_doubt)
      complain("the ledgers count " + std::to_string(stored) + " as stored, and there are "
               + std::to_string(world.stored.rows.size()));
  }

private:
  /// What was handed over is in it, but for what nobody took out of an actor's mailbox any more.
  void check_nothing_overlooked(const seen_world& world, const seen_process& process,
                                const ledger_counts& counts) {
    if (counts.in_queue > 0)
      complain(process, "left clean with events in its queue");
    if (std::find(process.states.begin(), process.states.end(), service_state::ready)
        == process.states.end())
      return; // a stop in the start: what the spool holds was not yet counted
    auto least = process.recovered + process.own;
    for (const auto& [number, request] : world.requests)
      if (request.process == process.id && request.said
          && request.said->error != error_code::stopping && !request.question)
        least += request.identities.size() + request.rejected;
    if (counts.received < least && process.died.empty())
      complain(process, "received " + std::to_string(counts.received) + ", and had at least "
                          + std::to_string(least));
  }

  std::map<process_id, uint64_t> stored_;
  std::map<process_id, bool> in_doubt_;
};

} // namespace phi::simulation
