#pragma once
/// Ready is who serves: everybody is there, the listener and the database are open. After a stop
/// has begun nobody is told that the service is ready.

#include "tests/simulation/observed.hpp"

#include <algorithm>

namespace phi::simulation {

class readiness_checker : public checker {
public:
  readiness_checker() : checker("readiness_checker") {}

  void state_shown(const seen_world& world, const seen_process& process,
                   service_state state) override {
    bool stops = process.stop_began.has_value();
    if (stops && state != service_state::stopping && state != service_state::stopped)
      complain(process, "says that it is " + std::string{to_string(state)} + " in its stop");
    auto times = std::count(process.states.begin(), process.states.end(), service_state::ready);
    if (state != service_state::ready || times != 1)
      return;
    for (auto actor : actor_name::all) {
      bool only_shared = actor == actor_name::spool || actor == actor_name::maintenance
                         || actor == actor_name::membership;
      if ((!only_shared || world.stored.shared) && !world.on.lives(process.id, actor)
          && !process.died.contains(std::string{actor}))
        complain(process, "is ready without " + std::string{actor});
    }
    if (!process.listens && !process.died.contains(actor_name::http))
      complain(process, "is ready, and does not listen");
    if (!process.store_open && !process.died.contains(actor_name::store))
      complain(process, "is ready without its database");
  }
};

} // namespace phi::simulation
