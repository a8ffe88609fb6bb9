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

  /// What is called with the report before a forced exit, to write it to disk and log; empty:
  /// nothing. It may block for ever, the exit waits for it up to defaults::forced_report_limit.
  void set_last_words(std::function<void(const exit_report&)> last_words);

  /// Ends the process with code 4 at `hard`, unless destroyed before.
  void arm(time_point hard);

  /// What is known of the stop, for the last words. Cheap.
  void keep(const exit_report& draft);

  /// Ends the process with code 5, now.
  void leave_now();

  /// The stop is over: the process must be gone by `at`, with `code` and without further words.
  void leave_quietly(time_point at, exit_code code);

private:
  void wait();
  void end(exit_code code, stop_reason reason);
  void speak();

  std::function<void(const exit_report&)> last_words_;
  std::mutex guard_;
  std::condition_variable changed_;
  exit_report draft_;
  std::optional<time_point> at_;
  std::optional<exit_code> quiet_code_;
  bool now_ = false;
  bool disarmed_ = false;

  bool speak_ = false; ///< the speaker is to say its words
  bool spoken_ = false;
  exit_report words_;
  std::thread speaker_; ///< made at the start, when threads can still be made
  std::thread thread_;
};

/// Sets the last words for as long as what they need lives.
class last_words_scope {
public:
  last_words_scope(last_resort& on, std::function<void(const exit_report&)> words) : on_(on) {
    on_.set_last_words(std::move(words));
  }
  ~last_words_scope() { on_.set_last_words({}); }
  last_words_scope(const last_words_scope&) = delete;
  last_words_scope& operator=(const last_words_scope&) = delete;

private:
  last_resort& on_;
};

} // namespace phi
