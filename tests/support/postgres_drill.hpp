#pragma once
/// The service on a real PostgreSQL: its settings for drills, and what must hold in the end.

#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/exactly_once.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/load.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/service_process.hpp"

#include <chrono>
#include <string>
#include <thread>

namespace phi::testing {

using namespace std::chrono_literals;

inline const std::string one_event = R"({"feature":"f","action":"a"})";

inline settings on_postgres(const std::string& url, settings more = {}) {
  more.insert({{"APP_STATS_STORAGE", "postgres"},
               {"APP_STATS_POSTGRES_URL", url},
               {"APP_STATS_BUSY_TIMEOUT_MS", "2000"},
               {"APP_SPOOL_AFTER_MS", "300"},
               {"APP_SPOOL_MIN_FREE_BYTES", "0"}});
  return more;
}

/// One of several on the same server.
inline settings instance(const postgres_server& server, const std::string& name,
                         settings more = {}) {
  more["APP_SERVER_INSTANCE"] = name;
  return on_postgres(server.url(), std::move(more));
}

inline uint64_t spooled(const service_process& service) {
  return gauge(get(service.port(), "/health").body, "spooled");
}

/// What waits in the spool, also what was set aside for a while: a session that was cut off may
/// hold locks until the server ends it.
inline uint64_t still_to_store(const service_process& service) {
  auto health = get(service.port(), "/health").body;
  bool deferred = service.logged("aside for a while");
  return gauge(health, "spooled") + (deferred ? gauge(health, "setAside") : 0);
}

/// Waits until what was spooled is in the database, then stops the service: clean, and balanced. A
/// last COMMIT that took longer than spool.after_ms has gone to the spool: then it starts once
/// more.
inline void drain_and_stop(service_process& service) {
  constexpr int most_starts = 3;
  for (int starts = 1;; ++starts) {
    if (!eventually([&] { return still_to_store(service) == 0; }, 130s))
      FAIL_CHECK("the spool does not get empty:\n" << service.log());
    auto end = service.stop();
    INFO(service.log());
    CHECK(end.code == 0);
    if (!service.logged("keeps events for the next start"))
      return;
    CHECK(service.logged("sends events to the spool"));
    REQUIRE(starts < most_starts);
    service.start_again();
  }
}

/// Whether events go to the database, and not to the spool.
inline bool answers_committed(const service_process& service) {
  return post(service.port(), "/api/v1/events", one_event).status == 200;
}

inline bool answers(const postgres_server& server) {
  try {
    return server.number("SELECT 1") == 1;
  } catch (const std::exception&) {
    return false; // away, or recovering
  }
}

inline void check_exactly_once(const postgres_server& server, const load_result& seen) {
  check_exactly_once(server.asked(), seen);
  CHECK(server.count_mismatch() == "");
}

inline void say(const std::string& what, const load_result& seen) {
  MESSAGE(what << ": " << seen.acknowledged.size() << " acknowledged, " << seen.spooled
               << " of them answered 202, " << seen.refused.size() << " refused, "
               << seen.resets_after_send << " without an answer");
}

} // namespace phi::testing
