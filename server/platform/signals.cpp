#include "server/platform/signals.hpp"

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

bool asks_for_stop(int number) {
  return number == SIGTERM || number == SIGINT || number == SIGQUIT;
}

} // namespace

void block_signals() {
  auto set = our_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
}

signal_source::signal_source(std::function<void()> emergency) : emergency_(std::move(emergency)) {
  auto set = our_signals();
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  wake_.reset(::eventfd(0, EFD_CLOEXEC));
  thread_ = std::thread([this] { run(); });
}

signal_source::~signal_source() {
  uint64_t one = 1;
  [[maybe_unused]] auto written = ::write(wake_.get(), &one, sizeof one);
  thread_.join();
}

void signal_source::attach(std::function<void(int)> handler) {
  std::lock_guard lock{guard_};
  handler_ = std::move(handler);
  if (!handler_)
    return;
  for (int number : std::exchange(early_, {}))
    handler_(number);
}

void signal_source::on_signal(int number) {
  std::lock_guard lock{guard_};
  if (handler_)
    handler_(number);
  else
    early_.push_back(number);
}

void signal_source::run() {
  pthread_setname_np(pthread_self(), "phi-signals");
  signal_ladder ladder;
  pollfd watched[] = {{signals_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  while (watched[1].revents == 0) {
    if (::poll(watched, 2, -1) <= 0)
      continue;
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      auto number = static_cast<int>(info.ssi_signo);
      if (asks_for_stop(number) && ladder.press(stop_mode::graceful) == stop_mode::immediate)
        emergency_();
      on_signal(number);
    }
  }
}

} // namespace phi
