#include "server/store/sqlite/watched_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <stdexcept>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace phi::store {

watched_file::watched_file(std::string path) : path_(std::move(path)) {
  struct stat found {};
  if (::stat(path_.c_str(), &found) != 0)
    throw std::runtime_error(path_ + " has gone while it was opened");
  device_ = found.st_dev;
  number_ = found.st_ino;
}

outcome watched_file::in_place() const {
  if (path_.empty())
    return {};
  auto lost = [&](const char* loss) {
    return outcome::failure(path_ + loss, outcome::kind::out_of_reach);
  };
  struct stat found {};
  if (::stat(path_.c_str(), &found) != 0)
    return lost(errno == ENOENT || errno == ENOTDIR ? " has been moved away or deleted"
                                                    : " cannot be looked at any more");
  if (found.st_dev != device_ || found.st_ino != number_)
    return lost(" has been replaced by another file");
  return {};
}

uint64_t size_of_file(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? static_cast<uint64_t>(found.st_size) : 0;
}

void flush_directory(const std::string& path) {
  int directory = ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool done = directory >= 0 && ::fsync(directory) == 0;
  int error = errno;
  if (directory >= 0)
    ::close(directory);
  if (!done)
    throw std::system_error{error, std::generic_category(), "cannot flush " + path};
}

} // namespace phi::store
