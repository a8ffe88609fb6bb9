#pragma once
/// A run of a plan: faults and clients for a while, then a calm in which everything has to drain,
/// then a stop in which nothing is wrong.

#include "tests/simulation/observed.hpp"
#include "tests/simulation/plan.hpp"

#include <set>
#include <string>
#include <vector>

namespace phi::simulation {

struct run_options {
  size_t most_steps = SIZE_MAX;
  std::string trace_file; ///< for Perfetto; empty: none
  bool tells = false;     ///< keeps the lines that the service logs, and what happens to it
  /// Breaks the world, to see a checker notice; called once a second of the run.
  void (*sabotage)(seen_world& world) = nullptr;
};

struct run_result {
  std::vector<violation> found;
  uint64_t hash = 0;
  size_t steps = 0;
  duration lasted{};
  std::set<happening_kind> happened;
  std::set<client_kind> clients;
  std::set<exit_code> codes;
  std::vector<std::string> lines; ///< what happened, in order

  bool good() const { return found.empty(); }
};

run_result run(const plan& chosen, const run_options& options = {});

/// The places of the fewest happenings with which the same checker still complains, as far as
/// leaving out one or several at a time finds them.
std::set<size_t> fewest_happenings(const plan& chosen, const run_result& failed,
                                   const run_options& options = {});

} // namespace phi::simulation
