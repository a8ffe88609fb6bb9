#pragma once
/// SIGNAL: turns signals into orders for the supervisor. A plain thread waits for the signals
/// (server/platform/signals) and tells them here.

#include "actors/child.hpp"

#include <functional>

namespace phi {

struct signal_state {
  child_identity who;
  uint64_t heard = 0;
};

/// `attach` is called once with this actor, which from then on gets every signal, also those that
/// came before.
signal_actor::behavior_type signal_behavior(signal_actor::stateful_pointer<signal_state> self,
                                            child_identity who,
                                            std::function<void(signal_actor)> attach);

} // namespace phi
