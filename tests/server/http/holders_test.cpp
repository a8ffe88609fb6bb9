// Who holds a stop: actors that have requests, and the client that owes something longest.

#include "server/http/holders.hpp"
#include "tests/support/connected_link.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/fake_request.hpp"

using namespace phi;
using namespace phi::http;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

struct held_stop {
  exchange& add(const route& of, time_point began) {
    auto& one = exchanges.add(fake_request{}.made(), 0);
    one.route = &of;
    one.began = began;
    return one;
  }
  void inspect(time_point now, bool exactly = true) {
    who.inspect(exchanges, loop.links, now, exactly);
  }
  /// "stats 20 ms", in order of their names; those that still hold first.
  std::vector<std::string> tell(time_point now) const {
    std::vector<std::string> out;
    for (const auto& one : who.tell(now))
      out.push_back(one.whom + " " + std::to_string(one.for_how_long / 1ms) + " ms");
    return out;
  }

  turned_loop loop;
  exchange_table exchanges{1};
  holders who;
  endpoint ingest{.path = "/e", .kind = endpoint_kind::ingest};
  endpoint asked{.path = "/q", .kind = endpoint_kind::question};
  route events{"/e", &ingest};
  route question{"/q", &asked};
};

using lines = std::vector<std::string>;
constexpr time_point t0{1h};

} // namespace

TEST_CASE("holders: before a stop nobody holds anything") {
  held_stop at;
  at.add(at.events, t0);
  at.inspect(t0 + 10ms);
  CHECK(at.tell(t0 + 10ms).empty());
  at.who.begin(t0 + 20ms);
  at.inspect(t0 + 20ms);
  CHECK(at.tell(t0 + 20ms) == lines{"stats 20 ms"});
}

TEST_CASE("holders: an actor holds since its oldest request, and in the past only since the stop") {
  held_stop at;
  auto asked = at.add(at.question, t0 + 5ms).to;
  auto first = at.add(at.events, t0 + 3ms).to;
  auto second = at.add(at.events, t0).to;
  at.who.begin(t0 + 10ms);
  at.inspect(t0 + 30ms);
  CHECK(at.tell(t0 + 30ms) == lines{"reader 25 ms", "stats 30 ms"});
  for (const auto& one : at.who.tell(t0 + 30ms))
    CHECK(one.kind == wait_kind::actor);
  at.exchanges.remove(second);
  at.inspect(t0 + 40ms);
  CHECK(at.tell(t0 + 40ms) == lines{"reader 35 ms", "stats 40 ms"}); // it never let go
  at.exchanges.remove(first);
  at.inspect(t0 + 50ms);
  CHECK(at.tell(t0 + 60ms) == lines{"reader 55 ms", "stats 40 ms"});
  at.exchanges.remove(asked);
  at.inspect(t0 + 70ms);
  CHECK(at.tell(t0 + 90ms) == lines{"reader 60 ms", "stats 40 ms"});
  // Once more: the times add up.
  auto again = at.add(at.events, t0 + 100ms).to;
  at.inspect(t0 + 110ms);
  at.exchanges.remove(again);
  at.inspect(t0 + 120ms);
  CHECK(at.tell(t0 + 130ms) == lines{"reader 60 ms", "stats 60 ms"});
}

TEST_CASE("holders: without need it looks every few milliseconds only") {
  held_stop at;
  at.who.begin(t0);
  at.inspect(t0 + 10ms);
  at.add(at.events, t0);
  at.inspect(t0 + 14ms, false);
  CHECK(at.tell(t0 + 14ms).empty());
  at.inspect(t0 + 15ms, false);
  CHECK(at.tell(t0 + 15ms) == lines{"stats 15 ms"});
}

TEST_CASE("holders: of the clients the one that owes longest is named, with what it owes") {
  held_stop at;
  link_and_client silent{at.loop};
  silent.begin_read();
  at.loop.turn();
  link_and_client slow{at.loop};
  slow.begin_read();
  slow.send(get_request.substr(0, 10));
  at.loop.turn();
  auto now = clock::now();
  at.who.begin(now);
  at.inspect(now);
  auto told = at.who.tell(now);
  REQUIRE(told.size() == 1);
  CHECK(told[0].whom == "client " + silent.address() + ", which keeps its connection open");
  CHECK(told[0].kind == wait_kind::client);
  CHECK(told[0].for_how_long == now - silent.link->idle_since());
  silent.link->end();
  at.loop.turn();
  silent.link.reset();
  at.inspect(now + 1s);
  told = at.who.tell(now + 2s);
  REQUIRE(told.size() == 2);
  CHECK(told[0].whom == "client " + slow.address() + ", which owes the rest of its request");
  CHECK(told[0].for_how_long == now + 2s - slow.link->request_began());
  CHECK(told[1].whom == "client " + silent.address() + ", which keeps its connection open");
  CHECK(told[1].for_how_long == 1s);
  CHECK(told[1].kind == wait_kind::client);
}

TEST_CASE("holders: who was refused holds for what it owed before, not for the refusal") {
  held_stop at;
  link_and_client slow{at.loop};
  slow.begin_read();
  slow.send(get_request.substr(0, 10));
  at.loop.turn();
  auto now = clock::now();
  at.who.begin(now);
  at.inspect(now);
  auto before = at.who.tell(now);
  REQUIRE(before.size() == 1);
  slow.begin_read();
  slow.link->refuse(error_code::request_timeout);
  at.loop.turn();
  REQUIRE(slow.ended());
  slow.link->close();
  REQUIRE(slow.link->lingers());
  at.inspect(now + 1s);
  auto after = at.who.tell(now + 1s);
  REQUIRE(after.size() == 1);
  CHECK(after[0].whom == before[0].whom);
  CHECK(after[0].for_how_long == before[0].for_how_long + 1s);
  // Without that, the refusal is the debt.
  holders late;
  late.begin(now);
  late.inspect(at.exchanges, at.loop.links, now + 1s, true);
  CHECK(late.tell(now + 1s).at(0).whom
        == "client " + slow.address() + ", which has not closed its refused connection");
}
