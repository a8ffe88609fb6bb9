#pragma once
/// What an actor is doing, readable while it is stuck. Messages are how actors talk; this is how
/// one that can no longer talk is seen: the health quorum, the state dump and the forced exit read
/// it.

#include "protocol/caf_dialect.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace phi {

/// Written by one actor, read by any thread. `what` must be a literal.
class activity {
public:
  void begin(const char* what) noexcept {
    since_.store(clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    what_.store(what, std::memory_order_release);
  }

  void end() noexcept {
    what_.store(nullptr, std::memory_order_release);
    progress_.fetch_add(1, std::memory_order_relaxed);
  }

  uint64_t progress() const noexcept { return progress_.load(std::memory_order_relaxed); }

  /// "idle", or "COMMIT for 1.8 s".
  std::string show() const;

  /// What it does now, without the time; null when idle.
  const char* now_doing() const noexcept { return what_.load(std::memory_order_acquire); }

private:
  std::atomic<const char*> what_{nullptr};
  std::atomic<clock::rep> since_{0};
  std::atomic<uint64_t> progress_{0};
};

using activity_ptr = std::shared_ptr<activity>;

/// Marks a piece of work for as long as it lives.
class doing {
public:
  doing(activity& on, const char* what) noexcept : on_(on) { on_.begin(what); }
  ~doing() { on_.end(); }
  doing(const doing&) = delete;
  doing& operator=(const doing&) = delete;

private:
  activity& on_;
};

} // namespace phi
