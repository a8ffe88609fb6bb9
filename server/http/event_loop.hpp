#pragma once
/// One event loop of the public listener: a thread that accepts, reads, parses, hands on and
/// answers. RESTinio stays within this room.

#include "actors/ports/http_port.hpp"
#include "config/config.hpp"
#include "protocol/outcome.hpp"
#include "protocol/platform/descriptor.hpp"
#include "server/api/tokens.hpp"
#include "server/http/rate_limiter.hpp"
#include "server/http/routes.hpp"
#include "server/platform/digest.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace phi::http {

/// What all loops of a server share. Read-only but for the flags.
struct loop_shared {
  config settings;    ///< as they were at the start; each loop keeps its own that can change
  size_t loops = 1;   ///< each has its part of the places
  std::string salt;   ///< of the hashes of users and addresses
  int64_t places = 0; ///< for connections, of all loops
  route_table routes;
  std::shared_ptr<const api::token_store> tokens;
  std::shared_ptr<backend_port> backend;
  /// One for all loops: a client may come on the connections of several.
  std::unique_ptr<rate_limiter> limiter = std::make_unique<rate_limiter>(random_bits());
  std::atomic<bool> ready{false};
  std::atomic<bool> started{false}; ///< was ready once
};

class event_loop {
public:
  virtual ~event_loop() = default; ///< ends the thread; every connection still there is cut

  /// Starts the thread, which accepts from all of `listeners` and owns them. `inherited`: the
  /// service manager has them open as well, and what waits in their queues is for our successor.
  virtual outcome start(std::vector<owned_fd> listeners, bool inherited) = 0;

  // From any thread; none of them blocks.
  virtual void apply_settings(config_ptr settings) = 0;
  virtual void stop_accepting(std::function<void()> drained) = 0;
  virtual void escalate() = 0;
  virtual void cut() = 0;
  virtual http_counts counts() const = 0;
  virtual loop_life life() = 0; ///< see http_port::loops_alive
  /// Who holds its connections in a stop, and held them.
  virtual std::vector<waited> waits() const = 0;
};

std::unique_ptr<event_loop> make_event_loop(std::shared_ptr<loop_shared> shared);

} // namespace phi::http
