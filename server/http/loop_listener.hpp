#pragma once
/// The public listener of one event loop: takes connections and makes RESTinio's of them, as many
/// as there are places, and closes without leaving anybody in the queue. On the loop's thread.

#include "server/http/connection_link.hpp"
#include "server/platform/acceptor.hpp"

#include <restinio/request_handler.hpp>

#include <functional>
#include <memory>

namespace phi::http {

class loop_listener {
public:
  using handler_type =
    std::function<restinio::request_handling_status_t(restinio::request_handle_t)>;

  loop_listener(asio_ns::io_context& on, link_registry& links);
  ~loop_listener();

  /// Serves what comes to `listener`, at most `places` connections at a time. `inherited`: the
  /// service manager has it open as well. Throws.
  void open(owned_fd listener, bool inherited, size_t places, handler_type handler);

  /// A connection has gone.
  void go_on() { acceptor_.go_on(); }

  /// New clients are refused at once. Those who wait to be taken are taken; in the queue of an
  /// inherited listener they wait for our successor.
  void refuse_new();

  /// Takes those who have come in meanwhile, and closes. False: a shortage of descriptors leaves
  /// some waiting, try again; unless `at_any_rate`.
  bool close(bool at_any_rate);

  bool is_open() const { return acceptor_.is_open(); }

  const accept_counts& counts() const { return acceptor_.counts(); }
  uint64_t made_room() const { return made_room_.load(std::memory_order_relaxed); }

private:
  class connection_maker;

  bool has_room();

  link_registry& links_;
  acceptor acceptor_;
  std::unique_ptr<connection_maker> maker_;
  bool inherited_ = false;
  size_t places_ = 0;
  std::atomic<uint64_t> made_room_{0};
};

} // namespace phi::http
