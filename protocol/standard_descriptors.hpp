#pragma once
/// What each of our programs does first.

#include <fcntl.h>
#include <unistd.h>

namespace phi {

/// A program started with a closed stdin, stdout or stderr would get that number for the first file
/// or socket that it opens, and write its words there. Before anything else is opened.
inline void open_standard_descriptors() {
  int fd = ::open("/dev/null", O_RDWR); // the lowest number that is free
  while (fd >= 0 && fd <= STDERR_FILENO)
    fd = ::open("/dev/null", O_RDWR);
  ::close(fd);
}

} // namespace phi
