#include "server/platform/listener_probe.hpp"

#include "protocol/platform/ask_listener.hpp"

#include <random>

namespace phi {

const std::string& probe_sign() {
  static const std::string sign = [] {
    std::random_device random;
    return std::to_string(uint64_t{random()} << 32 | random());
  }();
  return sign;
}

listener_probe::listener_probe(std::function<std::vector<std::string>()> addresses,
                               duration interval)
  : addresses_(std::move(addresses)),
    interval_(interval),
    well_at_(clock::now()),
    thread_([this] { run(); }) {}

listener_probe::~listener_probe() {
  rest();
  thread_.join();
}

void listener_probe::rest() {
  std::lock_guard lock{mutex_};
  resting_ = true;
  wake_.notify_all();
}

listener_probe::finding listener_probe::last() const {
  std::lock_guard lock{mutex_};
  if (answered_)
    return {};
  return {clock::now() - well_at_, answered_.why()};
}

void listener_probe::run() {
  std::unique_lock lock{mutex_};
  while (!wake_.wait_for(lock, interval_, [this] { return resting_.load(); })) {
    lock.unlock();
    outcome answered;
    for (const auto& address : addresses_())
      if (answered)
        answered = ask_listener(address, probe_sign(), defaults::probe_timeout, resting_);
    lock.lock();
    if (resting_)
      return;
    answered_ = answered;
    if (answered)
      well_at_ = clock::now();
  }
}

} // namespace phi
