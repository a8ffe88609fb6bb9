#include "server/http/draining.hpp"

#include <algorithm>

namespace phi::http {
namespace {

/// A handshake that has begun is over after this, on this machine at least.
constexpr auto handshake_time = std::chrono::milliseconds{1};
/// Between two looks at the connections that are left.
constexpr auto step_interval = std::chrono::milliseconds{10};
/// After an escalation, how long a connection may stand still.
constexpr auto escalated_still_limit = std::chrono::milliseconds{250};
/// After an escalation, how long any may take.
constexpr auto escalated_limit = std::chrono::milliseconds{2000};

} // namespace

void end_idle(link_registry& links, time_point since) {
  links.for_each([since](connection_link& link) {
    if (link.idle() && link.idle_since() <= since)
      link.end();
  });
}

bool end_longest_idle(link_registry& links, time_point since) {
  connection_link* longest = nullptr;
  links.for_each([&](connection_link& link) {
    if (link.idle() && link.idle_since() <= since
        && (!longest || link.idle_since() < longest->idle_since()))
      longest = &link;
  });
  if (longest)
    longest->end();
  return longest;
}

void refuse_partial(link_registry& links, time_point since) {
  links.for_each([since](connection_link& link) {
    if (link.receiving() && link.request_began() <= since)
      link.refuse(error_code::request_timeout);
  });
}

void cut_slow(link_registry& links, time_point since) {
  links.for_each([since](connection_link& link) {
    if ((link.writing() || link.receiving() || link.lingers()) && link.last_moved() <= since)
      link.cut();
  });
}

void cut_all(link_registry& links) {
  links.for_each([](connection_link& link) { link.cut(); });
}

drain::drain(asio_ns::io_context& on, link_registry& links, loop_listener& listener)
  : links_(links),
    listener_(listener),
    timer_(on) {}

void drain::begin(drain_limits limits, std::function<void()> stepped) {
  limits_ = limits;
  stepped_ = std::move(stepped);
  began_ = clock::now();
  listener_.refuse_new();
  step_after(handshake_time);
}

void drain::escalate() {
  if (escalated_at_ == time_point{})
    escalated_at_ = clock::now();
}

void drain::step_after(duration wait) {
  timer_.expires_after(wait);
  timer_.async_wait([this](const asio_ns::error_code& error) {
    if (!error)
      step();
  });
}

void drain::step() {
  auto now = clock::now();
  if (listener_.is_open())
    close_listener(now);
  if (escalated_at_ != time_point{}) {
    end_idle(links_);
    refuse_partial(links_);
    if (now - escalated_at_ >= escalated_still_limit)
      cut_slow(links_, now - escalated_at_ >= escalated_limit ? now : now - escalated_still_limit);
  } else {
    // While requests come in, those who are silent may only be slow to get the processor.
    auto quiet_since = std::min(last_request_, began_ + limits_.partial_grace);
    if (now - std::max(began_, quiet_since) >= limits_.keepalive_grace)
      end_idle(links_, now - limits_.keepalive_grace);
    if (now - began_ >= limits_.partial_grace)
      refuse_partial(links_, now - limits_.partial_grace);
  }
  if (listener_.is_open() || links_.count() > 0)
    step_after(step_interval);
  stepped_();
}

/// With connections still there it costs nothing to wait for handshakes that take longer: who comes
/// anew is refused already.
void drain::close_listener(time_point now) {
  auto since = now - began_;
  if (links_.count() == 0 || since >= limits_.keepalive_grace || escalated_at_ != time_point{})
    listener_.close(since >= limits_.partial_grace);
}

} // namespace phi::http
