#pragma once
/// The only file that spells what differs between CAF versions (ours: 0.17.6).
///
/// Actors use these names and nothing else of CAF's changing surface, so that moving to 0.18 or
/// 1.0 is a change of this file (see README.md, "Moving to another CAF").

#include "protocol/time.hpp"
#include "protocol/trace.hpp"
#include "protocol/trace_text.hpp"

#include <caf/actor_clock.hpp>
#include <caf/actor_ostream.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <chrono>
#include <exception>
#include <string>
#include <utility>

static_assert(CAF_VERSION >= 1706 && CAF_VERSION < 1800,
              "protocol/caf_dialect.hpp is written for CAF 0.17.6 and later 0.17");

/// Declares message atom `name` and its value `name_v`. CAF 0.17 packs the text into 64 bits, so a
/// name has at most 10 characters (checked by the compiler).
#define PHI_ATOM(name)                                                                             \
  using name = caf::atom_constant<caf::atom(#name)>;                                               \
  constexpr auto name##_v = name::value

/// Declares that `type` travels between actors of this process only (never over a wire).
#define PHI_MESSAGE(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(type)

#ifdef __SANITIZE_THREAD__
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
namespace phi::detail {
inline char hand_over_anchor;
}
#endif

namespace phi {

/// CAF's library hands messages over without locks and is not built with TSan, which therefore does
/// not see the order that a message makes. These two say it. In other builds they are nothing.
inline void before_hand_over() noexcept {
#ifdef __SANITIZE_THREAD__
  __tsan_release(&detail::hand_over_anchor);
#endif
}
inline void after_hand_over() noexcept {
#ifdef __SANITIZE_THREAD__
  __tsan_acquire(&detail::hand_over_anchor);
#endif
}

/// Sees when an actor begins and ends to handle a message. Called in the actor's thread.
class handler_observer {
public:
  virtual ~handler_observer() = default;
  virtual void handler_began(caf::atom_value message) noexcept = 0;
  virtual void handler_ended() noexcept = 0;
};

namespace detail {

/// The atom of a message; an answer has none.
template <class First = void, class...>
struct first_atom {
  static constexpr auto value = caf::atom("answer");
};
template <caf::atom_value Value, class... Rest>
struct first_atom<caf::atom_constant<Value>, Rest...> {
  static constexpr auto value = Value;
};

/// The observer of an actor is its activity (actors/activity.hpp), if its state has one.
template <class Self>
handler_observer* observer_of(Self* self) {
  if constexpr (requires { self->state.who.activity; })
    return self->state.who.activity.get();
  else
    return nullptr;
}

template <class Self>
const char* name_of(Self* self) {
  if constexpr (requires { self->state.who.name; })
    return self->state.who.name;
  else
    return "?";
}

inline bool is_urgent(caf::message_id id) {
  return id.is_urgent_message();
}

/// What an actor is about to handle, for the trace.
template <class Self>
traced_handling handling_of(Self* self, caf::atom_value type) {
  traced_handling out{.message = {.to = self->id(), .type = type}, .name = name_of(self)};
  if (const auto& from = self->current_sender())
    out.message.from = from->id();
  auto id = self->current_message_id();
  out.message.urgent = is_urgent(id);
  out.is_answer = id.is_response();
  if (id.is_request() || id.is_response())
    out.request = id.request_id().integer_value();
  return out;
}

template <class T>
void append_content(std::string& to, const T& value) {
  auto text = trace_text_of(value);
  if (!text.empty())
    to += (to.empty() ? "" : ", ") + text;
}

template <caf::atom_value Value>
void append_content(std::string&, const caf::atom_constant<Value>&) {}

/// One handling under way: observed, and traced when tracing is on.
template <class Self>
class observation {
public:
  template <class... Args>
  explicit observation(Self* self, caf::atom_value type, const Args&... args)
    : observer_(observer_of(self)) {
    after_hand_over();
    actor_here = self->id();
    if (observer_)
      observer_->handler_began(type);
    tracer_ = tracing();
    if (!tracer_)
      return;
    auto handling = handling_of(self, type);
    (append_content(handling.content, args), ...);
    number_ = tracer_->began(std::move(handling));
  }
  ~observation() {
    if (tracer_)
      tracer_->handled(number_);
    if (observer_)
      observer_->handler_ended();
    actor_here = 0;
    before_hand_over();
  }
  observation(const observation&) = delete;
  observation& operator=(const observation&) = delete;

private:
  handler_observer* observer_;
  message_tracer* tracer_ = nullptr;
  uint64_t number_ = 0;
};

/// A handler with the same signature that is seen when it begins and ends.
template <class Self, class Handler, class Result, class... Args>
struct observed_handler {
  Self* self;
  Handler handler;

  Result operator()(Args... args) {
    observation observed{self, first_atom<std::decay_t<Args>...>::value, args...};
    return handler(std::forward<Args>(args)...);
  }
};

template <class Self, class Handler, class Class, class Result, class... Args>
auto observe(Self* self, Handler handler, Result (Class::*)(Args...) const) {
  return observed_handler<Self, Handler, Result, Args...>{self, std::move(handler)};
}

template <class Self, class Handler, class Class, class Result, class... Args>
auto observe(Self* self, Handler handler, Result (Class::*)(Args...)) {
  return observed_handler<Self, Handler, Result, Args...>{self, std::move(handler)};
}

inline void trace_send(uint64_t from, const caf::actor_addr& to, caf::atom_value type, bool urgent,
                       duration delay = {}) {
  if (auto* tracer = tracing(); tracer && to)
    tracer->sent({from, to.id(), type, urgent, std::chrono::nanoseconds{delay}.count()},
                 actor_here);
}

} // namespace detail

/// Every message handler goes through here: the one place that sees them all.
template <class Self, class Handler>
auto observe(Self* self, Handler handler) {
  auto call = &Handler::operator();
  return detail::observe(self, std::move(handler), call);
}

/// The behaviour of `self`, made of its handlers.
template <class Self, class... Handlers>
auto handlers(Self* self, Handlers... list) {
  before_hand_over(); // what the start has written, the first handler sees on whatever thread
  return typename Self::behavior_type{observe(self, std::move(list))...};
}

/// Calls `then` when an actor that `self` monitors is gone.
template <class Self, class Then>
void on_down(Self* self, Then then) {
  self->set_down_handler([self, then = std::move(then)](const caf::down_msg& down) {
    detail::observation observed{self, caf::atom("down")};
    then(down);
  });
}

/// The duty to answer a request later; copyable. Destroyed unanswered it answers nothing.
template <class Answer>
using promise_of = caf::typed_response_promise<Answer>;

/// `replies<R>::to<A...>`: a message `A...` that is answered with one `R`.
template <class Result>
struct replies {
  template <class... Args>
  using to = typename caf::replies_to<Args...>::template with<Result>;
};

/// `accepts<A...>`: a message `A...` without an answer.
template <class... Args>
using accepts = caf::reacts_to<Args...>;

/// Asks `to`, ahead of its backlog, and calls one of the two functions later. The time-out must be
/// finite. It is handed over as CAF's own kind of duration: the overload for those of std::chrono
/// forgets the priority (0.17.6).
template <class Self, class Handle, class OnAnswer, class OnError, class Atom, class... Args>
void ask_urgent(Self* self, const Handle& to, duration timeout, OnAnswer on_answer,
                OnError on_error, Atom atom, Args&&... args) {
  before_hand_over();
  detail::trace_send(self->id(), to.address(), Atom::value, true);
  self
    ->template request<caf::message_priority::high>(to, caf::duration{timeout}, atom,
                                                    std::forward<Args>(args)...)
    .then(observe(self, std::move(on_answer)), observe(self, std::move(on_error)));
}

/// Sends behind what waits already.
template <class Self, class Handle, class Atom, class... Args>
void tell(Self* self, const Handle& to, Atom atom, Args&&... args) {
  before_hand_over();
  if (!to)
    return;
  detail::trace_send(self->id(), to.address(), Atom::value, false);
  self->send(to, atom, std::forward<Args>(args)...);
}

/// Sends ahead of the backlog: for control messages only (`stop`, `release`, `ping`, `status`).
template <class Self, class Handle, class Atom, class... Args>
void tell_urgent(Self* self, const Handle& to, Atom atom, Args&&... args) {
  before_hand_over();
  if (!to)
    return;
  detail::trace_send(self->id(), to.address(), Atom::value, true);
  self->template send<caf::message_priority::high>(to, atom, std::forward<Args>(args)...);
}

/// Sends from a thread that is no actor. Never use a shared scoped_actor for this.
template <class Handle, class Atom, class... Args>
void tell_from_outside(const Handle& to, Atom atom, Args&&... args) {
  before_hand_over();
  if (!to)
    return;
  detail::trace_send(0, to.address(), Atom::value, false);
  caf::anon_send(to, atom, std::forward<Args>(args)...);
}

/// As `tell_from_outside`, ahead of the backlog.
template <class Handle, class Atom, class... Args>
void tell_urgent_from_outside(const Handle& to, Atom atom, Args&&... args) {
  before_hand_over();
  if (!to)
    return;
  detail::trace_send(0, to.address(), Atom::value, true);
  caf::anon_send<caf::message_priority::high>(to, atom, std::forward<Args>(args)...);
}

/// Has `self` hear of the end of `actor` (`on_down`), behind whatever that actor has sent before as
/// urgent: with CAF's default priority it would overtake a report that waits among other urgent
/// messages.
template <class Self, class Handle>
void watch_end(Self* self, const Handle& actor) {
  self->template monitor<caf::message_priority::high>(actor);
}

/// Sends to `self` after `delay`, on the actor clock (virtual in tests).
template <class Self, class Atom, class... Args>
void tell_later(Self* self, duration delay, Atom atom, Args&&... args) {
  before_hand_over();
  detail::trace_send(self->id(), self->address(), Atom::value, false, delay);
  self->delayed_send(self, delay, atom, std::forward<Args>(args)...);
}

/// Ends `target` ahead of its backlog. Acts between two messages only: nothing interrupts a running
/// handler.
template <class Handle>
void kill_now(const Handle& target) {
  auto actor = caf::actor_cast<caf::actor>(target);
  caf::anon_send<caf::message_priority::high>(
    actor, caf::exit_msg{actor.address(), caf::make_error(caf::exit_reason::kill)});
}

/// The clock that time-outs of `self` run on.
template <class Self>
time_point now_of(Self* self) {
  return self->clock().now();
}

/// Messages that wait for `self` and have been fetched from its inbox, as CAF does a round at a
/// time. Called in a handler of it: fetching more would change the queue under that round.
template <class Self>
size_t mailbox_size(Self* self) {
  return self->mailbox().queue().total_task_size();
}

inline caf::atom_value phi_error_category() {
  return caf::atom("phi");
}

/// An error that carries `text` for people; `code` is an `error_code` in protocol/errors.hpp.
inline caf::error make_failure(uint8_t code, std::string text) {
  return caf::error{code, phi_error_category(), caf::make_message(std::move(text))};
}

/// The text of an error, for logs and reports.
inline std::string render(const caf::actor_system& system, const caf::error& error) {
  if (error.category() == phi_error_category() && error.context().match_elements<std::string>())
    return error.context().get_as<std::string>(0);
  return system.render(error);
}

/// Quits `self` so that its monitors see `text` as the cause.
template <class Self>
void fail_with(Self* self, uint8_t code, std::string text) {
  self->quit(make_failure(code, std::move(text)));
}

inline std::string text_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    return std::string{"exception: "} + e.what();
  } catch (...) {
    return "exception of an unknown type";
  }
}

/// An exception in a handler ends the actor; its monitors learn the exception's text, and so does
/// `then`, in the actor's thread while its state is still there. (CAF's own handler prints to
/// stdout.)
template <class Self, class Then>
void die_of_exceptions_aloud(Self* self, uint8_t code, Then then) {
  self->set_exception_handler(
    [code, then = std::move(then)](std::exception_ptr& thrown) -> caf::error {
      auto text = text_of(thrown);
      then(text);
      return make_failure(code, std::move(text));
    });
}

template <class Self>
void die_of_exceptions_aloud(Self* self, uint8_t code) {
  die_of_exceptions_aloud(self, code, [](const std::string&) {});
}

} // namespace phi
