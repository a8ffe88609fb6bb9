#pragma once
/// What one event loop listens on: takes connections and makes RESTinio's of them, as many as there
/// are places, and closes without leaving anybody in a queue. On the loop's thread.

#include "server/http/connection_link.hpp"
#include "server/platform/acceptor.hpp"

#include <restinio/request_handler.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace phi::http {

/// What the acceptors of a loop have seen together; as of `accept_counts`.
struct accept_totals {
  uint64_t accepted = 0;
  uint64_t gone = 0;
  uint64_t failed = 0;
  uint64_t held_back = 0;
  bool open = true; ///< all of them
  int shortage = 0; ///< of the one for which it began first
  int64_t shortage_began = 0;
  int64_t last_failure_at = 0;
};

class loop_listener {
public:
  using handler_type =
    std::function<restinio::request_handling_status_t(restinio::request_handle_t)>;

  loop_listener(asio_ns::io_context& on, link_registry& links);
  ~loop_listener();

  /// Serves what comes to all of `listeners`, at most `places` connections at a time. `inherited`:
  /// the service manager has them open as well. Throws.
  void open(std::vector<owned_fd> listeners, bool inherited, size_t places, handler_type handler);

  /// A connection has gone.
  void go_on();

  /// New clients are refused at once. Those who wait to be taken are taken; in the queue of an
  /// inherited listener they wait for our successor.
  void refuse_new();

  /// Takes those who have come in meanwhile, and closes. False: a shortage of descriptors leaves
  /// some waiting, try again; unless `at_any_rate`.
  bool close(bool at_any_rate);

  bool is_open() const;

  /// From any thread, once it has been opened.
  accept_totals counts() const;
  uint64_t made_room() const { return made_room_.load(std::memory_order_relaxed); }

private:
  class connection_maker;

  bool has_room(acceptor& for_those_of);

  link_registry& links_;
  asio_ns::io_context& io_;
  std::vector<std::unique_ptr<acceptor>> acceptors_;
  std::unique_ptr<connection_maker> maker_;
  bool inherited_ = false;
  size_t places_ = 0;
  std::atomic<uint64_t> made_room_{0};
};

} // namespace phi::http
