#pragma once
/// What can befall the process of a service. Each ends with the service running as before.

#include "tests/soak/soaked_service.hpp"

namespace phi::soak {

void restart(soaked_service& at, chance& by);
void two_signals(soaked_service& at, chance& by);
void fast_stop(soaked_service& at, chance& by);
void kill_and_start(soaked_service& at, chance& by);
/// It kills itself in the midst of something.
void kill_at_a_point(soaked_service& at, chance& by);
void reload(soaked_service& at, chance& by);
void freeze(soaked_service& at, chance& by);
void lame_duck_and_dump(soaked_service& at, chance& by);
/// An actor spins or hangs, and then the service is stopped: forced, and the actor is named.
void stuck_actor(soaked_service& at, chance& by);
/// An actor throws at every pass of a point: it is restarted until that is enough.
void throwing_actor(soaked_service& at, chance& by);

} // namespace phi::soak
