#pragma once
/// What the http actor needs of an HTTP server, and what an HTTP server needs of the actors.

#include "protocol/config_ptr.hpp"
#include "protocol/health.hpp"
#include "protocol/ingest.hpp"
#include "protocol/lifecycle.hpp"
#include "protocol/outcome.hpp"
#include "protocol/questions.hpp"
#include "protocol/status.hpp"
#include "protocol/time.hpp"
#include "protocol/time_counts.hpp"

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace phi {

/// The actors, as the HTTP server sees them. Thread-safe; never blocks.
class backend_port {
public:
  virtual ~backend_port() = default;
  virtual void submit(ingest_turn_ptr turn) = 0;
  virtual void ask(asked_ptr<reader_query> question) = 0;
  virtual void ask(asked_ptr<inspection_task> task) = 0;
  virtual void ask(asked_ptr<spool_task> task) = 0;
  virtual void ask(asked_ptr<cluster_task> task) = 0;
  virtual void ask(asked_ptr<health_query> question) = 0;
  virtual void ask(asked_ptr<service_query> question) = 0;
  /// How the service is as a whole, as last seen.
  virtual health_view health() const { return {}; }
};

/// What a request is about, for the times that requests take.
enum class request_kind : uint8_t { ingest, question, other };
inline constexpr size_t request_kinds = 3;

/// What happens on the listener now.
struct http_counts {
  uint64_t connections = 0;
  uint64_t in_flight = 0;           ///< requests received whole and not yet answered
  uint64_t requests = 0;            ///< answered since the start
  uint64_t refused = 0;             ///< of these, answered 503
  uint64_t rate_limited = 0;        ///< of these, answered 429
  uint64_t accepted = 0;            ///< connections taken since the start
  uint64_t reset_before_accept = 0; ///< clients that were gone before their connection was taken
  uint64_t failed_accepts = 0;      ///< tries to accept that the system refused
  uint64_t held_back =
    0; ///< times that connections waited because server.max_connections were there
  uint64_t made_room = 0;             ///< idle connections ended for them
  std::array<uint64_t, 6> by_class{}; ///< of the requests, by the first digit of their status
  /// From a whole request to its answer, by `request_kind`.
  std::array<time_counts, request_kinds> took{};
};

/// How an event loop of the listener is.
struct loop_life {
  /// How long the task that was posted into it has been waiting; zero: the last one has run.
  duration silent_for{};
  bool accepts = false; ///< its listener is open; false before the start and in a stop
  std::string
    shortage; ///< why it cannot take connections now, "Too many open files"; empty: it can
  duration shortage_for{};
  std::optional<duration> last_failed_accept; ///< how long ago; nothing: never
};

/// The HTTP server, as the http actor sees it. Thread-safe; never blocks.
class http_port {
public:
  virtual ~http_port() = default;

  /// Starts to serve; after success it listens. Called again after the actor died: the connections
  /// go on, only `drained` is replaced.
  virtual outcome open(std::function<void()> drained) = 0;

  virtual void set_ready(bool ready) = 0;

  /// From now on these settings hold, for requests that begin then.
  virtual void apply_settings(config_ptr settings) = 0;

  /// Closes the listener (its own copy only), answers what is in flight with `Connection: close`,
  /// ends idle connections after their grace, and calls `drained` when no connection is left.
  /// A second time it changes nothing.
  virtual void stop_accepting() = 0;

  /// Answers the questions in flight with 503 and ends all connections that have no request in
  /// flight.
  virtual void escalate() = 0;

  /// Ends every connection. What is in flight is answered as well as it can be.
  virtual void cut() = 0;

  virtual http_counts counts() const = 0;

  /// How its event loops are, and posts a new task into each that has run the last one. Asked every
  /// second, it shows a frozen loop within a second.
  virtual std::vector<loop_life> loops_alive() = 0;

  /// Once it accepts nobody: whom the connections that are left wait for (an actor, or a client
  /// by its address), and for how long those held the stop that are gone.
  virtual std::vector<waited> waits() const { return {}; }

  /// From now on nobody is told anything.
  virtual void release_handles() = 0;

  /// Where it listens, such as "127.0.0.1:3939".
  virtual std::vector<std::string> addresses() const = 0;
};

using http_port_ptr = std::shared_ptr<http_port>;

} // namespace phi
