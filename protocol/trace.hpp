#pragma once
/// The seam for tracing: sees every message that is sent and handled while it is switched on. Off,
/// it costs one relaxed load a message. What becomes of it is the business of server/observe.

#include <caf/atom.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace phi {

/// A message on its way. `from` is 0 when it comes from a thread that is no actor.
struct traced_message {
  uint64_t from = 0; ///< CAF's id of the sending actor
  uint64_t to = 0;
  caf::atom_value type{};
  bool urgent = false;
  int64_t delay_ns = 0; ///< it is delivered this much later; 0: at once
};

/// A message being handled.
struct traced_handling {
  traced_message message;
  const char* name = "";  ///< of the handling actor; a literal
  uint64_t request = 0;   ///< number of the request among those of the sender; 0: none
  bool is_answer = false; ///< the handling of an answer to a request of our own
  std::string content;    ///< what it carries, without data of users unless asked for
};

/// Thread-safe; must not throw.
class message_tracer {
public:
  virtual ~message_tracer() = default;
  /// `origin`: the actor in whose handler it is sent, if the message itself does not say so.
  virtual void sent(const traced_message& message, uint64_t origin) noexcept = 0;
  /// Returns a number for `handled`.
  virtual uint64_t began(traced_handling handling) noexcept = 0;
  virtual void handled(uint64_t number) noexcept = 0;
  /// A piece of work within a handler, such as COMMIT, of the actor whose handler runs in this
  /// thread.
  virtual void worked(const char* work, int64_t began_ns, int64_t ended_ns) noexcept = 0;
};

namespace detail {
inline std::atomic<message_tracer*> tracer{nullptr};
inline std::atomic<bool> trace_shows_user_data{false};
/// The actor whose handler this thread runs.
inline thread_local uint64_t actor_here = 0;
inline std::mutex names_mutex;
inline std::map<uint64_t, std::string> names;
} // namespace detail

/// Makes an actor known by its name. A trace that is switched on when the actor is stuck
/// already sees it handle nothing, and must name it all the same.
inline void name_actor(uint64_t id, const char* name) {
  std::lock_guard lock{detail::names_mutex};
  detail::names[id] = name;
}

/// Empty for one that was never named.
inline std::string name_of_actor(uint64_t id) {
  std::lock_guard lock{detail::names_mutex};
  auto found = detail::names.find(id);
  return found == detail::names.end() ? std::string{} : found->second;
}

/// The tracer, or null when tracing is off.
inline message_tracer* tracing() noexcept {
  return detail::tracer.load(std::memory_order_acquire);
}

/// Switches tracing on, or off with null. The tracer must live until the process ends, for a
/// handler may be using it.
inline void set_tracing(message_tracer* to, bool with_user_data = false) noexcept {
  detail::trace_shows_user_data.store(with_user_data, std::memory_order_relaxed);
  detail::tracer.store(to, std::memory_order_release);
}

/// Whether data of users may be shown in `traced_handling::content`.
inline bool trace_shows_user_data() noexcept {
  return detail::trace_shows_user_data.load(std::memory_order_relaxed);
}

} // namespace phi
