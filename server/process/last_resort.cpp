#include "server/process/last_resort.hpp"

#include "config/defaults.hpp"
#include "protocol/platform/process.hpp"

#include <cstdlib>

namespace phi {

last_resort::last_resort() : speaker_([this] { speak(); }), thread_([this] { wait(); }) {}

void last_resort::set_last_words(last_words words) {
  std::lock_guard lock{mutex_};
  last_words_ = std::move(words);
}

last_resort::~last_resort() {
  {
    std::lock_guard lock{mutex_};
    disarmed_ = true;
  }
  changed_.notify_all();
  thread_.join();
  speaker_.join();
}

void last_resort::arm(time_point hard) {
  std::lock_guard lock{mutex_};
  at_ = hard;
  changed_.notify_all();
}

void last_resort::keep(const exit_report& draft) {
  std::lock_guard lock{mutex_};
  draft_ = draft;
}

void last_resort::leave_now() {
  std::lock_guard lock{mutex_};
  now_ = true;
  changed_.notify_all();
}

void last_resort::leave_orphaned(const std::string& why) {
  std::lock_guard lock{mutex_};
  orphaned_ = why;
  changed_.notify_all();
}

void last_resort::leave_quietly(time_point at, exit_code code) {
  std::lock_guard lock{mutex_};
  at_ = at;
  quiet_code_ = code;
  changed_.notify_all();
}

void last_resort::wait() {
  name_this_thread("phi-last-resort");
  std::unique_lock lock{mutex_};
  while (!disarmed_) {
    if (quiet_code_ && (now_ || clock::now() >= *at_))
      std::_Exit(static_cast<int>(*quiet_code_));
    if (now_) {
      lock.unlock();
      end(exit_code::forced_by_user);
    }
    if (orphaned_) {
      lock.unlock();
      end(exit_code::child_died);
    }
    if (at_ && clock::now() >= *at_) {
      lock.unlock();
      end(exit_code::forced_by_deadline);
    }
    if (at_)
      changed_.wait_until(lock, *at_);
    else
      changed_.wait(lock);
  }
}

void last_resort::end(exit_code code) {
  std::unique_lock lock{mutex_};
  words_ = draft_;
  words_.code = code;
  if (code == exit_code::forced_by_user) {
    words_.mode = stop_mode::immediate;
    words_.reason = stop_reason::user_forced;
  }
  if (code == exit_code::child_died) {
    words_.reason = stop_reason::child_died;
    words_.detail = "supervisor: " + *orphaned_;
  }
  speak_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, say_limit, [this] { return said_; });
  changed_.wait_for(lock, defaults::forced_report_limit, [this] { return kept_; });
  std::_Exit(static_cast<int>(code));
}

void last_resort::speak() {
  name_this_thread("phi-last-words");
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [this] { return speak_ || disarmed_; });
  if (!speak_)
    return;
  auto words = words_;
  auto [say, keep] = last_words_;
  lock.unlock();
  refresh_report(words, clock::now());
  if (say)
    say(words);
  lock.lock();
  said_ = true;
  changed_.notify_all();
  lock.unlock();
  if (keep)
    keep(words);
  lock.lock();
  kept_ = true;
  changed_.notify_all();
}

} // namespace phi
