#pragma once
/// How connections are ended, politely first. On the loop's thread.

#include "server/http/connection_link.hpp"
#include "server/http/loop_listener.hpp"

#include <functional>

namespace phi::http {

/// Ends those that have waited for a request since `since` or before.
void end_idle(link_registry& links, time_point since = time_point::max());

/// Ends the one that has waited longest, if it has since `since` or before. False: none has.
bool end_longest_idle(link_registry& links, time_point since);

/// Answers 408 to those whose request began to come in at `since` or before and is not whole, and
/// ends them.
void refuse_partial(link_registry& links, time_point since = time_point::max());

/// Ends those in the middle of a request or an answer that have not moved on since `since`.
void cut_slow(link_registry& links, time_point since);

void cut_all(link_registry& links);

struct drain_limits {
  duration keepalive_grace{}; ///< for the next request of a connection that waits for one
  duration partial_grace{};   ///< for the rest of a request that has come in part
};

/// The way from "stop" to "no connection is left" of one event loop.
class drain {
public:
  drain(asio_ns::io_context& on, link_registry& links, loop_listener& listener);

  /// `stepped` is called after each step, to see whether it is done.
  void begin(drain_limits limits, std::function<void()> stepped);

  /// From now on who waits is ended at once, and who is slow soon.
  void escalate();

  /// A request has come in whole: others of the same client may be on their way.
  void request_came() { last_request_ = clock::now(); }

  bool begun() const { return began_ != time_point{}; }

private:
  void step();
  void step_after(duration wait);
  void close_listener(time_point now);

  link_registry& links_;
  loop_listener& listener_;
  asio_ns::steady_timer timer_;
  drain_limits limits_;
  std::function<void()> stepped_;
  time_point began_{};
  time_point escalated_at_{};
  time_point last_request_{};
};

} // namespace phi::http
