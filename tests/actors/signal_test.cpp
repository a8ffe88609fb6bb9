// SIGNAL on virtual time: which order each signal becomes.

#include "actors/signal.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/lone_actor.hpp"

using namespace phi;
using namespace phi::testing;

TEST_CASE("signal: each signal is one order to the supervisor, and a repeated wish is none") {
  virtual_system on;
  lone_actor<signal_actor> signal{on, "signal", signal_behavior,
                                  std::function<void(signal_actor)>{[](const signal_actor&) {}}};
  auto hear = [&](signal_kind kind, std::optional<stop_mode> wish, int press) {
    signal.tell(atom::signaled_v, heard_signal{kind, wish, press});
  };
  hear(signal_kind::terminate, stop_mode::graceful, 1);
  hear(signal_kind::terminate, std::nullopt, 1); // within the time in which it is the same wish
  hear(signal_kind::interrupt, stop_mode::fast, 2);
  hear(signal_kind::quit, stop_mode::immediate, 3);
  using row = std::pair<stop_mode, stop_reason>;
  CHECK(signal.heard->stops
        == std::vector<row>{{stop_mode::graceful, stop_reason::terminate},
                            {stop_mode::fast, stop_reason::interrupt},
                            {stop_mode::immediate, stop_reason::quit}});
  hear(signal_kind::reload, std::nullopt, 0);
  hear(signal_kind::dump, std::nullopt, 0);
  hear(signal_kind::dump, std::nullopt, 0);
  hear(signal_kind::lame_duck, std::nullopt, 0);
  CHECK(signal.heard->reloads == 1);
  CHECK(signal.heard->dumps == 2);
  CHECK(signal.heard->turned == 1);
  CHECK(signal.heard->stops.size() == 3);
  signal.tell(atom::stop_v, stop_order{});
  CHECK_FALSE(signal.gone()); // further signals are still heard
  signal.tell(atom::release_v, release_order{});
  CHECK(signal.gone());
  REQUIRE(signal.heard->stopped.size() == 1);
  CHECK(signal.heard->stopped[0].did[0].count == 8);
}
