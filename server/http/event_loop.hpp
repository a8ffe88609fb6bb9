#pragma once
/// One event loop of the public listener: a thread that accepts, reads, parses, hands on and
/// answers. RESTinio is behind this header and nowhere else.

#include "actors/ports/http_port.hpp"
#include "config/config.hpp"
#include "server/http/client_address.hpp"
#include "server/http/routes.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>

namespace phi::http {

/// What all loops of a server share. Read-only but for the flags.
struct loop_shared {
  config settings;
  route_table routes;
  trusted_proxies proxies;
  std::shared_ptr<backend_port> backend;
  std::atomic<bool> ready{false};
  std::atomic<bool> started{false}; ///< was ready once
};

class event_loop {
public:
  virtual ~event_loop() = default; ///< ends the thread; every connection still there is cut

  /// Starts the thread, which accepts from `listener` and owns it. Empty, or what is wrong.
  virtual std::string start(int listener) = 0;

  // From any thread; none of them blocks.
  virtual void close_doors(std::function<void()> drained) = 0;
  virtual void hurry() = 0;
  virtual void cut() = 0;
  virtual http_counts counts() const = 0;
};

std::unique_ptr<event_loop> make_event_loop(std::shared_ptr<loop_shared> shared);

} // namespace phi::http
