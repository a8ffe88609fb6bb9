#pragma once
/// What can befall the process of a house. Each ends with the service running as before.

#include "tests/soak/house.hpp"

namespace phi::soak {

void restart(house& at, chance& by);
void two_signals(house& at, chance& by);
void fast_stop(house& at, chance& by);
void kill_and_start(house& at, chance& by);
/// It kills itself in the midst of something.
void kill_at_a_point(house& at, chance& by);
void reload(house& at, chance& by);
void freeze(house& at, chance& by);
void lame_duck_and_dump(house& at, chance& by);
/// An actor spins or hangs, and then the service is stopped: forced, and the actor is named.
void stuck_actor(house& at, chance& by);
/// An actor throws at every pass of a point: it is restarted until that is enough.
void throwing_actor(house& at, chance& by);

} // namespace phi::soak
