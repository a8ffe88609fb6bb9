#pragma once
/// What an actor is doing, readable while it is stuck. Messages are how actors talk; this is how
/// one that can no longer talk is seen: the health quorum, the state dump and the forced exit read
/// it.

#include "actors/ledger_board.hpp"
#include "actors/ports/work_watch.hpp"
#include "protocol/caf_dialect.hpp"
#include "protocol/status.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace phi {

/// How much a stop presses an actor that is in the middle of something.
enum class urge : uint8_t {
  none,
  stop,   ///< what takes long should end; what is nearly done may be done
  at_once ///< everything should end that leaves nothing half done
};

/// Written by one actor, read by any thread; `press` is for any thread. `work` must be a literal.
class activity : public handler_observer, public work_watch {
public:
  void handler_began(caf::atom_value message) noexcept override;
  void handler_ended() noexcept override;

  /// Called in the actor's thread after each handler, to show what others must be able to see of it
  /// when it can no longer say it; replaced by the actor that takes its place.
  void after_each_handler(std::function<void()> show) { after_each_ = std::move(show); }

  /// A piece of work within a handler.
  struct piece {
    const char* work = nullptr; ///< a literal, for people; null: none
    work_code code = work_code::none;
  };

  /// Returns what it did before, for `end`.
  piece begin(const char* work, work_code code = work_code::none) noexcept {
    since_.store(clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    auto code_before = code_.exchange(code, std::memory_order_acq_rel);
    return {work_.exchange(work, std::memory_order_acq_rel), code_before};
  }

  void end(piece before) noexcept {
    code_.store(before.code, std::memory_order_release);
    work_.store(before.work, std::memory_order_release);
    progress_.fetch_add(1, std::memory_order_relaxed);
  }

  /// A blocked actor cannot hear an order. Never taken back: a stop is not undone.
  void press(urge wanted) noexcept {
    auto before = urge_.load(std::memory_order_relaxed);
    while (before < wanted && !urge_.compare_exchange_weak(before, wanted))
      ;
  }
  urge pressed() const noexcept { return urge_.load(std::memory_order_acquire); }

  /// Work that a stop ends in any case.
  end_cause check() noexcept override {
    progress_.fetch_add(1, std::memory_order_relaxed);
    return pressed() == urge::none ? end_cause::none : end_cause::stopping;
  }

  /// Grows with each piece of work done; handling a message alone is none.
  uint64_t progress() const noexcept { return progress_.load(std::memory_order_relaxed); }

  /// "idle", "handling ping for 0.2 ms" or "COMMIT for 1.8 s".
  std::string show() const;

  /// The code of the piece of work that it does; none: of none that has one.
  work_code work() const noexcept { return code_.load(std::memory_order_acquire); }

  bool busy() const noexcept {
    return work_.load(std::memory_order_acquire) || handling_.load(std::memory_order_acquire);
  }

  /// It waits for the actor `whom` (a literal) since then; null: for nobody any more.
  void waits_for(const char* whom, time_point since = {}) noexcept {
    waits_since_.store(since.time_since_epoch().count(), std::memory_order_relaxed);
    waits_for_.store(whom, std::memory_order_release);
  }

  /// Where waits are known elsewhere: any thread may call `tell`. Empty: nowhere any more.
  void learn_waits_from(std::function<std::vector<waited>()> tell);

  /// Whom it waits for now, and since when.
  std::vector<waited> waits() const;

  /// Said by the supervisor when it sends `stop`, for one that is too busy to hear it.
  void stop_begins() noexcept;

  /// How much of a piece of work that began at `began` and ends now fell into the stop.
  duration in_the_stop(time_point began) const noexcept;

  ledger_board ledgers; ///< of the actor that keeps the ledger

  /// The last message that it handled, `ping` and `status` aside; empty: none yet.
  std::string last_message() const;

  /// The system's number of the thread that runs it, or ran it last; 0: none yet.
  int thread() const noexcept { return thread_.load(std::memory_order_relaxed); }

private:
  std::atomic<const char*> work_{nullptr};
  std::atomic<work_code> code_{work_code::none};
  std::atomic<uint64_t> handling_{0}; ///< the atom of the message, or 0
  std::atomic<uint64_t> last_{0};     ///< an atom as well
  std::atomic<clock::rep> since_{0};
  std::atomic<uint64_t> progress_{0};
  std::atomic<int> thread_{0};
  std::atomic<const char*> waits_for_{nullptr};
  std::atomic<clock::rep> waits_since_{0};
  std::atomic<clock::rep> stop_at_{0}; ///< 0: it has not begun
  std::function<void()> after_each_;   ///< the actor's thread only
  mutable std::mutex mutex_;
  std::function<std::vector<waited>()> more_waits_;
  std::atomic<urge> urge_{urge::none};
};

using activity_ptr = std::shared_ptr<activity>;

/// Marks a piece of work for as long as it lives.
class activity_scope {
public:
  activity_scope(activity& on, const char* work, work_code code = work_code::none) noexcept
    : on_(on),
      work_(work),
      before_(on.begin(work, code)),
      began_(clock::now()) {}
  ~activity_scope() {
    on_.end(before_);
    if (auto* tracer = tracing())
      tracer->worked(work_, began_.time_since_epoch().count(),
                     clock::now().time_since_epoch().count());
  }
  activity_scope(const activity_scope&) = delete;
  activity_scope& operator=(const activity_scope&) = delete;

private:
  activity& on_;
  const char* work_;
  activity::piece before_;
  time_point began_;
};

} // namespace phi
