// How connections are ended: each kind for itself, and all of them in a stop.

#include "server/http/draining.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/loop_listener_fixture.hpp"

using namespace phi;
using namespace phi::http;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// One that waits for a request, and one in the middle of a request.
struct two_links {
  two_links() {
    idle.begin_read();
    loop.turn();
    partial.begin_read();
    partial.send(get_request.substr(0, 10));
    loop.turn();
    REQUIRE(idle.link->idle());
    REQUIRE(partial.link->receiving());
    partial.begin_read();
    loop.turn();
  }

  turned_loop loop;
  link_and_client idle{loop};
  link_and_client partial{loop};
};

constexpr duration tick{1};

} // namespace

TEST_CASE("draining: who waits for a request is ended when it has for long enough, others stay") {
  two_links at;
  end_idle(at.loop.links, at.idle.link->idle_since() - tick);
  at.loop.turn();
  CHECK_FALSE(at.idle.read);
  end_idle(at.loop.links, at.idle.link->idle_since());
  at.loop.turn();
  CHECK(at.idle.ended());
  CHECK_FALSE(at.partial.read);
  end_idle(at.loop.links);
  at.loop.turn();
  CHECK_FALSE(at.partial.read);
}

TEST_CASE("draining: of those who wait the longest goes, alone, and only when it has long enough") {
  two_links at;
  link_and_client later{at.loop};
  later.begin_read();
  at.loop.turn();
  CHECK_FALSE(end_longest_idle(at.loop.links, at.idle.link->idle_since() - tick));
  at.loop.turn();
  CHECK_FALSE(at.idle.read);
  CHECK(end_longest_idle(at.loop.links, time_point::max()));
  at.loop.turn();
  CHECK(at.idle.ended());
  CHECK_FALSE(later.read);
  CHECK(end_longest_idle(at.loop.links, time_point::max()));
  at.loop.turn();
  CHECK(later.ended());
  CHECK_FALSE(end_longest_idle(at.loop.links, time_point::max()));
  CHECK_FALSE(at.partial.read);
}

TEST_CASE("draining: who owes the rest of a request is answered, and others are not") {
  two_links at;
  error_code why{};
  at.loop.links.make_answer = [&](error_code code, const connection_link&) {
    why = code;
    return std::string{"408"};
  };
  refuse_partial(at.loop.links, at.partial.link->request_began() - tick);
  at.loop.turn();
  CHECK_FALSE(at.partial.read);
  refuse_partial(at.loop.links, at.partial.link->request_began());
  at.loop.turn();
  CHECK(at.partial.ended());
  CHECK(at.partial.received() == "408");
  CHECK(why == error_code::request_timeout);
  CHECK_FALSE(at.idle.read);
  CHECK(at.idle.received().empty());
}

TEST_CASE("draining: who does not move is cut, who waits for a request is not") {
  two_links at;
  cut_slow(at.loop.links, at.partial.link->last_moved() - tick);
  at.loop.turn();
  CHECK_FALSE(at.partial.read);
  cut_slow(at.loop.links, at.partial.link->last_moved());
  at.loop.turn();
  CHECK(at.partial.ended());
  CHECK(at.partial.received().empty());
  cut_slow(at.loop.links, time_point::max());
  at.loop.turn();
  CHECK_FALSE(at.idle.read);
  cut_all(at.loop.links);
  at.loop.turn();
  CHECK(at.idle.ended());
}

namespace {

/// A stop of a listener with clients of each kind.
struct stopping : loop_listener_fixture {
  stopping() {
    open();
    silent = knock();
    partial = knock();
    partial.send(get_request.substr(0, 10));
    REQUIRE(run_until([&] { return loop.links.count() == 2 && receiving() == 1; }));
  }
  size_t receiving() {
    size_t out = 0;
    loop.links.for_each([&](connection_link& link) { out += link.receiving(); });
    return out;
  }
  void begin(drain_limits limits) {
    began = clock::now();
    way.begin(limits, [this] { ++steps; });
  }
  duration ended_after(const knocking& client) {
    CHECK(run_until([&] { return client.ended(); }));
    return clock::now() - began;
  }

  knocking silent, partial;
  drain way{loop.io, loop.links, front};
  time_point began{};
  int steps = 0;
};

} // namespace

TEST_CASE("drain: the silent go after their grace, the slow are answered after theirs, then the "
          "listener is shut") {
  stopping at;
  CHECK_FALSE(at.way.begun());
  at.begin({.keepalive_grace = 100ms, .partial_grace = 300ms});
  CHECK(at.way.begun());
  CHECK_FALSE(at.knock().connected);
  CHECK(at.ended_after(at.silent) >= 100ms);
  CHECK_FALSE(at.partial.ended());
  auto took = at.ended_after(at.partial);
  CHECK(took >= 300ms);
  CHECK(took < 2s);
  CHECK(at.partial.received() == "no");
  at.partial.close();
  CHECK(at.run_until([&] { return at.loop.links.count() == 0 && !at.front.is_open(); }));
  auto steps = at.steps;
  CHECK(steps > 0);
  at.run_for(50ms);
  CHECK(at.steps <= steps + 1); // nothing is left to look after
}

TEST_CASE("drain: as long as requests come the silent stay a little longer") {
  stopping at;
  at.begin({.keepalive_grace = 100ms, .partial_grace = 400ms});
  auto until = clock::now() + 250ms;
  at.run_until([&] {
    at.way.request_came();
    return clock::now() >= until;
  });
  CHECK_FALSE(at.silent.ended());
  CHECK(at.ended_after(at.silent) >= 330ms); // its grace begins with the last request
}

TEST_CASE(
  "drain: an escalation ends who waits at once and answers the slow; who does not move is cut") {
  stopping at;
  at.begin({.keepalive_grace = 60s, .partial_grace = 60s});
  at.run_for(50ms);
  CHECK_FALSE(at.silent.ended());
  CHECK_FALSE(at.partial.ended());
  CHECK(at.front.is_open());
  at.way.escalate();
  CHECK(at.ended_after(at.silent) < 2s);
  CHECK(at.ended_after(at.partial) < 2s);
  CHECK(at.partial.received() == "no");
  // It has its answer and does not close: 250 ms later it is cut.
  CHECK(at.run_until([&] { return at.loop.links.count() == 0; }));
  CHECK(clock::now() - at.began >= 300ms);
  CHECK_FALSE(at.front.is_open());
}
