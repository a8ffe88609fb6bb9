#pragma once
/// The last resort: a plain thread outside the actor system that ends the process when the actors
/// do not. It works when every actor thread is blocked or spinning.

#include "actors/exit_report.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace phi {

class last_resort {
public:
  last_resort();
  ~last_resort(); ///< disarms

  /// What is called with the report before a forced exit.
  struct last_words {
    std::function<void(const exit_report&)> say;  ///< to the log
    std::function<void(const exit_report&)> keep; ///< on a disk
  };

  /// How long the exit waits for `say`, which takes it only when nobody reads the log or the
  /// machine has no processor to spare; for `keep` it then waits up to
  /// defaults::forced_report_limit.
  static constexpr auto say_limit = std::chrono::milliseconds{200};

  /// Empty functions: nothing. They may block for ever.
  void set_last_words(last_words words);

  /// Ends the process with code 81 (forced by the deadline) at `hard`, unless destroyed before.
  void arm(time_point hard);

  /// What is known of the stop; the last words bring it up to the moment of leaving. Cheap.
  void keep(const exit_report& draft);

  /// Ends the process with code 82 (forced by the user), now.
  void leave_now();

  /// The supervisor has died: ends the process with code 80, now.
  void leave_orphaned(const std::string& why);

  /// The stop is over: the process must be gone by `at`, with `code` and without further words.
  void leave_quietly(time_point at, exit_code code);

private:
  void wait();
  void end(exit_code code);
  void speak();

  last_words last_words_;
  std::mutex mutex_;
  std::condition_variable changed_;
  exit_report draft_;
  std::optional<time_point> at_;
  std::optional<exit_code> quiet_code_;
  bool now_ = false;
  std::optional<std::string> orphaned_; ///< why the supervisor is gone
  bool disarmed_ = false;

  bool speak_ = false; ///< the speaker is to say its words
  bool said_ = false;
  bool kept_ = false;
  exit_report words_;
  std::thread speaker_; ///< made at the start, when threads can still be made
  std::thread thread_;
};

/// Sets the last words for as long as what they need lives.
class last_words_scope {
public:
  last_words_scope(last_resort& on, last_resort::last_words words) : on_(on) {
    on_.set_last_words(std::move(words));
  }
  ~last_words_scope() { on_.set_last_words({}); }
  last_words_scope(const last_words_scope&) = delete;
  last_words_scope& operator=(const last_words_scope&) = delete;

private:
  last_resort& on_;
};

} // namespace phi
