#pragma once
/// Actors on virtual time: CAF's test scheduler with a small fixture of our own. Nothing here
/// sleeps.

#include "protocol/caf_dialect.hpp"

#include <caf/scheduler/test_coordinator.hpp>

#include <functional>
#include <random>
#include <vector>

namespace phi::testing {

class virtual_system {
public:
  /// With a seed, ready actors run in an order drawn from it; the same seed gives the same run.
  explicit virtual_system(uint32_t seed = 0)
    : random_(seed),
      shuffled_(seed != 0),
      system(configure(config_)) {}

  /// Ends every actor given to `keep`, so that the actor system can come down.
  ~virtual_system() {
    for (auto& actor : kept_)
      kill_now(actor);
    run();
    kept_.clear();
  }

  /// An actor that might not end by itself.
  template <class Handle>
  Handle keep(Handle actor) {
    kept_.push_back(caf::actor_cast<caf::actor>(actor));
    return actor;
  }

  time_point now() { return scheduler().clock().now(); }

  /// Runs all that is ready; time stands still.
  void run() {
    auto& sched = scheduler();
    while (sched.has_job()) {
      if (shuffled_ && sched.jobs.size() > 1) {
        auto pick = std::uniform_int_distribution<size_t>{0, sched.jobs.size() - 1}(random_);
        std::swap(sched.jobs[0], sched.jobs[pick]);
      }
      sched.run_once();
    }
  }

  /// Lets time pass in steps, running what becomes ready.
  void advance(duration by, duration step = std::chrono::milliseconds{10}) {
    run();
    for (auto left = by; left > duration::zero(); left -= step) {
      scheduler().advance_time(std::min(step, left));
      run();
    }
  }

  /// Advances until `done` or `limit`; whether it is done.
  bool advance_until(const std::function<bool()>& done, duration limit,
                     duration step = std::chrono::milliseconds{10}) {
    run();
    for (auto end = now() + limit; !done() && now() < end;)
      advance(step, step);
    return done();
  }

  caf::scheduler::test_coordinator& scheduler() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }

  std::mt19937& random() { return random_; }

private:
  static caf::actor_system_config& configure(caf::actor_system_config& config) {
    config.set("scheduler.policy", caf::atom("testing"));
    return config;
  }

  caf::actor_system_config config_;
  std::mt19937 random_;
  bool shuffled_;
  std::vector<caf::actor> kept_;

public:
  caf::actor_system system;
};

} // namespace phi::testing
