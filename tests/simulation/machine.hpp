#pragma once
/// One machine for a whole run: one thread, a clock that moves only when nobody has anything to do,
/// and every choice drawn from one seed: who is next, who is late, what breaks. Actors of several
/// processes run on it. A port may block its actor for a while, for each handler runs on a stack of
/// its own.
///
/// The clock and the chance that the standard library has (`steady_clock::now`,
/// `random_device`) are this machine's in the whole program: see machine.cpp.

#include "protocol/caf_dialect.hpp"
#include "tests/simulation/chance.hpp"

#include <caf/scheduler/test_coordinator.hpp>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace phi::simulation {

/// A run of a process of the service; 0: the world around them.
using process_id = uint32_t;

/// Thrown where the process of a blocked actor is no more.
struct process_killed {};

class machine {
public:
  /// `lateness`: one in so many times an actor that is ready is held up for a moment; 0: never.
  machine(uint64_t seed, int lateness);
  /// Ends all processes.
  ~machine();
  machine(const machine&) = delete;
  machine& operator=(const machine&) = delete;

  caf::actor_system& system() { return system_; }
  time_point now() const;
  /// Of what goes on in the run, such as how long a commit takes.
  chance& random() { return random_; }

  // -- what happens ---------------------------------------------------------------------------

  /// Something of the world, that much later.
  void after(duration wait, std::function<void()> what);

  /// Actors that are spawned in `what`, and by them, belong to `process`.
  void inside(process_id process, const std::function<void()>& what);

  /// For a port: the actor whose handler runs stays in it for so long; all others go on. Throws
  /// `process_killed` when its process ends meanwhile. Nothing outside of a handler.
  void block(duration time);

  /// Whose handler runs now.
  process_id here() const;

  /// Nothing that it does has any effect from now on; its actors go as soon as they can.
  void end(process_id process);
  /// All of them, and their actors are gone when it returns. Not in a handler.
  void end_all();
  bool has_ended(process_id process) const { return ended_.contains(process); }

  /// Holds an actor up between two messages; false: there is none of that name.
  bool hold(process_id process, std::string_view actor, duration time);
  /// Holds up all of them, also where they are blocked, as a stopped process.
  void hold_all(process_id process, duration time);
  /// For how long it is still held up as a whole.
  duration stopped_for(process_id process) const;
  /// Nobody is held up or blocked any more.
  void let_all_go();
  /// As any actor is ended from outside; false: there is none of that name.
  bool kill(process_id process, std::string_view actor);
  bool lives(process_id process, std::string_view actor) const;

  // -- running --------------------------------------------------------------------------------

  /// Until `done`, or so much time has passed, or so many steps were made; whether it is done.
  bool run_until(const std::function<bool()>& done, duration limit);
  size_t steps() const { return steps_; }
  void set_most_steps(size_t most) { most_steps_ = most; }

  /// Of everything that happened so far, in order: the same seed gives the same.
  uint64_t hash() const { return hash_; }
  void remember(uint64_t value);

  /// An actor has ended; `well`: by itself, as it should.
  std::function<void(process_id, const std::string& actor, bool well)> on_gone;
  /// A handler passes a place where a fault may be put.
  std::function<void(std::string_view where)> on_fault_point;

private:
  struct fiber;
  struct known_actor {
    process_id owner = 0;
    caf::actor_addr address;
    std::string name;
    time_point held_until{};
    bool gone = false;
  };
  struct choice {
    enum class kind : uint8_t { job, blocked, event } what;
    size_t at;
  };

  static caf::actor_system_config& configure(caf::actor_system_config& config);
  static void run_fiber();

  caf::scheduler::test_coordinator& scheduler() const;
  known_actor& owner_of(caf::resumable* job);
  bool is_held(const known_actor& actor) const;
  bool is_stopped(process_id process) const;
  void meet_new_actors(process_id owner);
  void find_ready();
  bool step();
  bool advance(time_point limit);
  void run_job(size_t at);
  void resume(size_t at);
  void switch_to(std::unique_ptr<fiber> next);
  void reap(process_id process);
  known_actor* find(process_id process, std::string_view name);

  caf::actor_system_config config_;
  chance random_;
  chance order_;
  int lateness_;
  caf::actor_system system_;
  std::map<caf::actor_id, known_actor> actors_;
  caf::actor_id newest_ = 0;
  std::multimap<time_point, std::function<void()>> events_;
  std::vector<std::unique_ptr<fiber>> blocked_;
  std::vector<std::unique_ptr<fiber>> idle_;
  std::unique_ptr<fiber> running_;
  std::map<process_id, time_point> stopped_until_;
  std::set<process_id> ended_;
  process_id spawning_for_ = 0;
  std::vector<choice> ready_;
  size_t steps_ = 0;
  size_t most_steps_ = SIZE_MAX;
  uint64_t hash_ = 1469598103934665603U;
};

} // namespace phi::simulation
