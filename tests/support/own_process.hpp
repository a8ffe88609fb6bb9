#pragma once
/// Work that ends its process, or changes what all of a process shares: in a process of its own.

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>

namespace phi::testing {

/// The status of a process whose work was over before anything ended it.
inline constexpr int outlived = 99;

struct ended_process {
  int status = -1; ///< as a shell tells it: 128 and more, of a signal
  std::chrono::steady_clock::duration took{};
  std::string words; ///< that it wrote
};

/// Runs `work` in a process of its own, with a pipe for words, and waits for its end.
inline ended_process in_own_process(const std::function<void(int)>& work) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0)
    throw std::runtime_error("cannot make a pipe");
  auto began = std::chrono::steady_clock::now();
  auto child = ::fork();
  if (child == 0) {
    ::alarm(10); // should it hang for ever
    for (int number : {SIGINT, SIGTERM, SIGABRT})
      ::signal(number, SIG_DFL); // the test program reports them
    ::close(ends[0]);
    try {
      work(ends[1]);
    } catch (...) {
      std::_Exit(outlived - 1);
    }
    std::_Exit(outlived);
  }
  ::close(ends[1]);
  ended_process out;
  char c = 0;
  while (::read(ends[0], &c, 1) == 1)
    out.words += c;
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  out.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  out.took = std::chrono::steady_clock::now() - began;
  return out;
}

inline void write_to(int fd, const std::string& text) {
  [[maybe_unused]] auto written = ::write(fd, text.data(), text.size());
}

} // namespace phi::testing
