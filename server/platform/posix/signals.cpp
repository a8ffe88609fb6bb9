#include "server/platform/signals.hpp"
#include "protocol/platform/process.hpp"

#include "actors/signal_ladder.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <utility>

namespace phi {
namespace {

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2})
    sigaddset(&set, number);
  return set;
}

/// Of `our_signals`: no other comes.
signal_kind kind_of(uint32_t number) {
  switch (number) {
    case SIGINT: return signal_kind::interrupt;
    case SIGQUIT: return signal_kind::quit;
    case SIGHUP: return signal_kind::reload;
    case SIGUSR1: return signal_kind::dump;
    case SIGUSR2: return signal_kind::lame_duck;
    default: return signal_kind::terminate;
  }
}

/// The least that a signal asks for; nothing: no stop.
std::optional<stop_mode> least_wish(signal_kind kind) {
  switch (kind) {
    case signal_kind::terminate:
    case signal_kind::interrupt: return stop_mode::graceful;
    case signal_kind::quit: return stop_mode::fast;
    default: return std::nullopt;
  }
}

} // namespace

void block_signals() {
  auto set = our_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
  sigaction(SIGXFSZ, &ignore, nullptr); // ulimit -f is an error of the write then
}

void unblock_signals() {
  auto set = our_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

signal_source::signal_source(std::function<void()> emergency) : emergency_(std::move(emergency)) {
  auto set = our_signals();
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  wake_.reset(::eventfd(0, EFD_CLOEXEC));
  thread_ = std::thread([this] { run(); });
}

signal_source::~signal_source() {
  uint64_t count = 1;
  [[maybe_unused]] auto written = ::write(wake_.get(), &count, sizeof count);
  thread_.join();
}

void signal_source::attach(std::function<void(const heard_signal&)> handler) {
  std::lock_guard lock{mutex_};
  handler_ = std::move(handler);
  if (!handler_)
    return;
  for (const auto& signal : std::exchange(early_, {}))
    handler_(signal);
}

void signal_source::on_signal(const heard_signal& signal) {
  std::lock_guard lock{mutex_};
  if (handler_)
    handler_(signal);
  else
    early_.push_back(signal);
}

void signal_source::run() {
  name_this_thread("phi-signals");
  signal_ladder ladder;
  pollfd watched[] = {{signals_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  while (watched[1].revents == 0) {
    if (::poll(watched, 2, -1) <= 0)
      continue;
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      heard_signal heard{.kind = kind_of(info.ssi_signo)};
      if (auto least = least_wish(heard.kind)) {
        heard.wish = ladder.press(*least, clock::now());
        heard.press = ladder.presses();
      }
      if (heard.wish == stop_mode::immediate)
        emergency_();
      on_signal(heard);
    }
  }
}

} // namespace phi
