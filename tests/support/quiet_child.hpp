#pragma once
/// An actor under the supervisor that does nothing but what the test adds: it obeys no order, and
/// answers whoever asks.

#include "protocol/actors.hpp"

#include <utility>

namespace phi::testing {

template <class Actor, class... Handlers>
typename Actor::behavior_type quiet_child(Handlers... more) {
  return {
    [](atom::stop, const stop_order&) {},
    [](atom::release, const release_order&) {},
    [](atom::ping) { return pong{}; },
    [](atom::status) { return actor_status{}; },
    [](atom::apply, const config_ptr&) { return pong{}; },
    std::move(more)...,
  };
}

} // namespace phi::testing
