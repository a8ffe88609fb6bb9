#include "protocol/platform/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

namespace phi {

bool is_terminal(int fd) {
  return ::isatty(fd) != 0;
}

size_t columns_of_terminal(int fd) {
  winsize size{};
  return is_terminal(fd) && ::ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

} // namespace phi
