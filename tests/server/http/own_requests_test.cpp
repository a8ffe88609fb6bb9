// The service's own requests as events: which are recorded, what of them, and for whom.

#include "protocol/own_request.hpp"
#include "server/http/own_requests.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/fake_request.hpp"

using namespace phi;
using namespace phi::http;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

struct recording {
  explicit recording(const std::string& salt = "salt") : own(settings, salt) {}

  exchange of(const std::string& peer = "192.0.2.1", const std::string& forwarded = "") {
    fake_request request;
    if (!forwarded.empty())
      request.field("X-Forwarded-For", forwarded);
    return {.request = request.made(peer),
            .route = &tracked,
            .wall_us = 1'700'000'000'000'000,
            .began = clock::now() - 20ms};
  }
  event only() {
    auto taken = own.take();
    REQUIRE(taken.events.size() == 1);
    return taken.events[0];
  }

  config settings;
  endpoint ingest{.path = "/events", .kind = endpoint_kind::ingest, .method = "POST"};
  endpoint state{.path = "/health", .kind = endpoint_kind::health};
  route tracked{"/api/v1/events", &ingest};
  route quiet{"/health", &state};
  own_requests own;
};

} // namespace

TEST_CASE("own requests: an event with the route, the status and the time it took") {
  recording at;
  at.settings.resolved.instance = "i-1";
  CHECK(at.own.empty());
  CHECK(at.own.record(at.of(), 202));
  CHECK_FALSE(at.own.empty());
  auto taken = at.own.take();
  CHECK_FALSE(taken.awaited); // nobody waits for it
  REQUIRE(taken.events.size() == 1);
  CHECK(taken.bytes == taken.events[0].footprint());
  const auto& own = taken.events[0];
  CHECK(own.action == own_request_action);
  CHECK(own.route == "/api/v1/events");
  CHECK(own.method == "POST");
  CHECK(own.status == 202);
  CHECK(own.time_us == 1'700'000'000'000'000);
  CHECK(own.instance == "i-1");
  CHECK(own.duration_us >= 20'000);
  CHECK(own.duration_us < 10'000'000);
  CHECK(own.feature.empty());
  CHECK(at.own.empty());
  CHECK(at.own.take().events.empty());
}

TEST_CASE("own requests: who was not let in leaves nothing, and neither does what is not counted") {
  recording at;
  for (int status : {401, 403, 429})
    CHECK_FALSE(at.own.record(at.of(), status));
  auto probe = at.of();
  probe.route = &at.quiet;
  CHECK_FALSE(at.own.record(probe, 200));
  auto nowhere = at.of();
  nowhere.route = nullptr;
  CHECK_FALSE(at.own.record(nowhere, 404));
  at.settings.stats.track_requests = false;
  CHECK_FALSE(at.own.record(at.of(), 200));
  at.settings.stats.track_requests = true;
  at.settings.stats.enabled = false;
  CHECK_FALSE(at.own.record(at.of(), 200));
  CHECK(at.own.empty());
  at.settings.stats.enabled = true;
  for (int status : {200, 400, 402, 404, 500})
    CHECK(at.own.record(at.of(), status));
  auto taken = at.own.take();
  REQUIRE(taken.events.size() == 5);
  CHECK(taken.events[0].identity != taken.events[1].identity); // each counts
}

TEST_CASE("own requests: an address is kept as a hash, and without a salt not at all") {
  recording at;
  CHECK(at.own.record(at.of("192.0.2.1"), 200));
  auto one = at.only().address_hash;
  CHECK(one == keyed_hash{"salt"}.of("192.0.2.1"));
  CHECK(at.own.record(at.of("192.0.2.2"), 200));
  CHECK(at.only().address_hash != one);
  recording unsalted{""};
  CHECK(unsalted.own.record(unsalted.of(), 200));
  CHECK(unsalted.only().address_hash.empty());
}

TEST_CASE("own requests: a client behind a proxy is believed once the proxy is trusted") {
  recording at;
  auto forwarded = at.of("10.0.0.1", "203.0.113.9");
  CHECK(at.own.client(forwarded) == "10.0.0.1");
  at.settings.server.trusted_proxies = {"10.0.0.0/8"};
  CHECK(at.own.client(forwarded) == "10.0.0.1"); // not before it is told so
  at.own.apply_settings();
  CHECK(at.own.client(forwarded) == "203.0.113.9");
  CHECK(at.own.client(at.of("192.0.2.1", "203.0.113.9")) == "192.0.2.1");
  // Several lines of one field are one list, in order, whatever the case of its name.
  fake_request two;
  two.field("X-Forwarded-For", "203.0.113.1, 203.0.113.2").field("x-forwarded-for", "10.0.0.7");
  exchange of{.request = two.made("10.0.0.1")};
  CHECK(at.own.client(of) == "203.0.113.2");
}
