#include "server/process/process_watch.hpp"

#include "actors/log.hpp"
#include "protocol/platform/process.hpp"

#include <cstdlib>

namespace phi {
void process_watch::give_up(const std::string& actor) {
  if ((manager_.watchdog_limit() || abort_when_stuck_) && note_stuck_)
    note_stuck_(actor);
  if (manager_.watchdog_limit()) {
    log_error("watchdog", "has the service manager start the service anew", {{"stuck", actor}});
    return manager_.trigger();
  }
  if (!abort_when_stuck_)
    return;
  log_error("watchdog", "aborts the process", {{"stuck", actor}});
  std::abort();
}

void process_watch::show_late(const std::string& text) {
  late_ = text;
  show();
}

void process_watch::show_health(const health_view& view) {
  board_.write(view, clock::now());
  if (on_health)
    on_health(view);
  ails_ = view.text();
  show();
}

void process_watch::rest() {
  board_.rest();
  late_.clear();
  ails_.clear();
  show();
  if (on_rest)
    on_rest();
}

void process_watch::show() {
  const auto& text = late_.empty() ? ails_ : late_;
  if (text == shown_)
    return;
  shown_ = text;
  manager_.late(text.empty() ? "" : "degraded: " + text);
}

std::optional<thread_times> process_watch::times_of(int thread) const {
  if (thread == 0)
    return std::nullopt;
  return times_of_thread(thread);
}

duration process_watch::suspended() const {
  return time_suspended();
}

} // namespace phi
