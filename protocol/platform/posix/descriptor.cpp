#include "protocol/platform/descriptor.hpp"

#include "protocol/time.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <poll.h>
#include <unistd.h>

namespace phi {
namespace {

short events_of(interest awaited) {
  switch (awaited) {
    case interest::input: return POLLIN;
    case interest::output: return POLLOUT;
    case interest::input_or_output: return POLLIN | POLLOUT;
    case interest::end: break;
  }
  return POLLRDHUP;
}

int whole_milliseconds(duration left) {
  auto count = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<int64_t>(count, 0, std::numeric_limits<int>::max()));
}

} // namespace

void owned_fd::reset(int fd) {
  if (fd_ >= 0) {
    int error = errno;
    ::close(fd_);
    errno = error;
  }
  fd_ = fd;
}

owned_fd duplicate(int fd) {
  return owned_fd{::fcntl(fd, F_DUPFD_CLOEXEC, 0)};
}

void open_standard_descriptors() {
  int fd = ::open("/dev/null", O_RDWR); // the lowest number that is free
  while (fd >= 0 && fd <= STDERR_FILENO)
    fd = ::open("/dev/null", O_RDWR);
  ::close(fd);
}

readiness wait_until_ready(int fd, interest awaited, std::chrono::milliseconds limit) {
  pollfd polled{fd, events_of(awaited), 0};
  auto began = clock::now();
  int ready = ::poll(&polled, 1, whole_milliseconds(limit));
  while (ready < 0 && errno == EINTR)
    ready = ::poll(&polled, 1, whole_milliseconds(limit - (clock::now() - began)));
  if (ready <= 0)
    return {.failed = ready < 0};
  return {.input = (polled.revents & POLLIN) != 0,
          .output = (polled.revents & POLLOUT) != 0,
          .ended = (polled.revents & POLLRDHUP) != 0,
          .broken = (polled.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0};
}

} // namespace phi
