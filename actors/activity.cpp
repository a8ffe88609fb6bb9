#include "actors/activity.hpp"

#include "protocol/platform/process.hpp"
#include "protocol/text/duration.hpp"

#include <algorithm>

namespace phi {

void activity::handler_began(caf::atom_value message) noexcept {
  thread_local const int this_thread = thread_id();
  thread_.store(this_thread, std::memory_order_relaxed);
  since_.store(clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  handling_.store(static_cast<uint64_t>(message), std::memory_order_release);
}

void activity::handler_ended() noexcept {
  auto message = caf::atom_value{handling_.exchange(0, std::memory_order_acq_rel)};
  if (message != caf::atom("ping") && message != caf::atom("status"))
    last_.store(static_cast<uint64_t>(message), std::memory_order_relaxed);
  if (after_each_)
    after_each_();
}

void activity::learn_waits_from(std::function<std::vector<waited>()> tell) {
  std::lock_guard lock{mutex_};
  more_waits_ = std::move(tell);
}

std::vector<waited> activity::waits() const {
  std::vector<waited> out;
  if (const char* whom = waits_for_.load(std::memory_order_acquire))
    out.push_back(
      {whom, clock::now() - time_point{duration{waits_since_.load(std::memory_order_relaxed)}}});
  std::lock_guard lock{mutex_};
  if (more_waits_)
    for (auto& wait : more_waits_())
      out.push_back(std::move(wait));
  return out;
}

void activity::stop_begins() noexcept {
  clock::rep never = 0;
  stop_at_.compare_exchange_strong(never, clock::now().time_since_epoch().count());
}

duration activity::in_the_stop(time_point began) const noexcept {
  auto at = stop_at_.load(std::memory_order_acquire);
  return at == 0 ? duration::zero() : clock::now() - std::max(began, time_point{duration{at}});
}

std::string activity::last_message() const {
  auto message = last_.load(std::memory_order_relaxed);
  return message == 0 ? "" : to_string(caf::atom_value{message});
}

std::string activity::show() const {
  const char* work = work_.load(std::memory_order_acquire);
  auto message = handling_.load(std::memory_order_acquire);
  if (!work && !message)
    return "idle";
  auto began = time_point{duration{since_.load(std::memory_order_relaxed)}};
  auto text = work ? std::string{work} : "handling " + to_string(caf::atom_value{message});
  return text + " for " + show_duration(clock::now() - began);
}

} // namespace phi
