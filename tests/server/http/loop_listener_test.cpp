// The listener of one event loop, on loopback: who is let in, and who is told that it is shut.

#include "server/http/loop_listener.hpp"
#include "tests/support/connected_link.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/loop_listener_fixture.hpp"

using namespace phi;
using namespace phi::http;
using namespace phi::testing;
using namespace std::chrono_literals;

TEST_CASE("loop listener: a connection has its request served, and is counted") {
  loop_listener_fixture at;
  CHECK_FALSE(at.front.is_open());
  at.open();
  CHECK(at.front.is_open());
  auto client = at.knock();
  REQUIRE(client.connected);
  client.send(get_request);
  CHECK(at.run_until([&] { return at.requests == 1; }));
  CHECK(at.front.counts().accepted == 1);
  CHECK(at.loop.links.count() == 1);
  CHECK(at.front.made_room() == 0);
}

TEST_CASE("loop listener: when all places are taken new ones wait, until one goes") {
  loop_listener_fixture at;
  at.open(false, 2);
  auto first = at.knock();
  auto second = at.knock();
  CHECK(at.run_until([&] { return at.loop.links.count() == 2; }));
  auto third = at.knock();
  REQUIRE(third.connected); // in the queue of the system
  at.front.go_on();         // as the loop says now and then
  CHECK(at.front.counts().held_back == 1);
  CHECK(at.front.counts().accepted == 2);
  CHECK(at.front.made_room() == 0); // nobody has been silent for long enough
  first.close();
  CHECK(at.run_until([&] { return at.loop.links.count() == 1; }));
  at.front.go_on();
  CHECK(at.run_until([&] { return at.front.counts().accepted == 3; }));
  CHECK(at.loop.links.count() == 2);
}

TEST_CASE("loop listener: with all places taken who has been silent longest goes") {
  loop_listener_fixture at;
  at.open(false, 2);
  auto first = at.knock();
  CHECK(at.run_until([&] { return at.loop.links.count() == 1; }));
  auto second = at.knock();
  CHECK(at.run_until([&] { return at.loop.links.count() == 2; }));
  at.run_for(defaults::make_room_after + 20ms);
  auto third = at.knock();
  at.front.go_on();
  CHECK(at.front.made_room() == 1);
  CHECK(at.run_until([&] { return first.ended(); }));
  at.front.go_on();
  CHECK(at.run_until([&] { return at.front.counts().accepted == 3; }));
  CHECK_FALSE(second.ended());
  CHECK_FALSE(third.ended());
}

TEST_CASE("loop listener: once it is shut to new clients, who waits is taken whether there is room "
          "or not") {
  loop_listener_fixture at;
  at.open(false, 1);
  auto first = at.knock();
  CHECK(at.run_until([&] { return at.loop.links.count() == 1; }));
  auto second = at.knock();
  auto third = at.knock();
  REQUIRE(third.connected);
  at.front.refuse_new();
  CHECK(at.front.is_open()); // a handshake may be on its way
  CHECK_FALSE(at.knock().connected);
  CHECK(at.run_until([&] { return at.front.counts().accepted == 3; }));
  CHECK(at.loop.links.count() == 3);
  CHECK(at.front.close(false));
  CHECK_FALSE(at.front.is_open());
  CHECK(at.front.close(false)); // once more
  for (auto* client : {&first, &second, &third})
    CHECK_FALSE(client->ended());
}

TEST_CASE("loop listener: who waits before an inherited listener is its heir's") {
  loop_listener_fixture at;
  at.open(true, 1);
  auto first = at.knock();
  CHECK(at.run_until([&] { return at.loop.links.count() == 1; }));
  auto second = at.knock();
  at.front.refuse_new();
  CHECK_FALSE(at.front.is_open());
  CHECK(at.knock().connected); // for our successor
  CHECK(at.front.counts().accepted == 1);
  owned_fd taken{::accept(at.heir.get(), nullptr, nullptr)};
  CHECK(taken);
  CHECK_FALSE(second.ended());
}

TEST_CASE("loop listener: the places are of all that it listens on, wherever clients come") {
  loop_listener_fixture at;
  at.open(false, 3, 2);
  auto first = at.knock(1);
  auto second = at.knock(1);
  auto third = at.knock(1);
  CHECK(at.run_until([&] { return at.loop.links.count() == 3; }));
  auto here = at.knock(0);
  auto there = at.knock(1);
  at.run_for(20ms);
  at.front.go_on();
  CHECK(at.front.counts().accepted == 3);
  CHECK(at.loop.links.count() == 3);
  second.close();
  third.close();
  CHECK(at.run_until([&] { return at.loop.links.count() == 1; }));
  at.front.go_on();
  CHECK(at.run_until([&] { return at.front.counts().accepted == 5; }));
  CHECK(at.front.counts().open);
  at.front.refuse_new();
  CHECK_FALSE(at.knock(0).connected);
  CHECK_FALSE(at.knock(1).connected);
  CHECK(at.front.close(false));
  CHECK_FALSE(at.front.counts().open);
  for (auto* client : {&first, &here, &there})
    CHECK_FALSE(client->ended());
}

TEST_CASE("loop listener: with all places taken nobody has to go for nobody") {
  loop_listener_fixture at;
  at.open(false, 1);
  auto first = at.knock();
  CHECK(at.run_until([&] { return at.loop.links.count() == 1; }));
  at.run_for(defaults::make_room_after + 20ms);
  at.front.go_on();
  CHECK(at.front.made_room() == 0);
  CHECK_FALSE(first.ended());
}
