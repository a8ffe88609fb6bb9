#include "protocol/durable_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace phi {
namespace {

bool write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    auto n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

} // namespace

outcome sync_directory(const std::string& directory) {
  int fd = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool done = fd >= 0 && ::fsync(fd) == 0;
  auto out =
    done ? outcome{}
         : outcome::failure("cannot bring " + directory + " to disk: " + std::strerror(errno));
  if (fd >= 0)
    ::close(fd);
  return out;
}

outcome write_durably(const std::string& file, const std::string& text) {
  auto fresh = file + ".new";
  ::unlink(fresh.c_str()); // of a process that was killed here; a link is not followed
  int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  bool done = fd >= 0 && write_all(fd, text) && ::fsync(fd) == 0;
  int error = errno;
  if (fd >= 0)
    ::close(fd);
  if (done && ::rename(fresh.c_str(), file.c_str()) == 0)
    return sync_directory(std::filesystem::path{file}.parent_path().string());
  error = done ? errno : error;
  ::unlink(fresh.c_str());
  return outcome::failure("cannot write " + file + ": " + std::strerror(error));
}

} // namespace phi
