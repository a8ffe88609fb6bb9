#include "protocol/durable_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <unistd.h>

namespace phi {
namespace {

outcome last_error(const std::string& what) {
  return outcome::failure(what + ": " + std::strerror(errno));
}

/// Nothing: there is no such file that can be read.
std::optional<std::string> text_of(const std::string& file) {
  std::error_code ignored;
  std::ifstream in{file};
  if (!in || !std::filesystem::is_regular_file(file, ignored))
    return std::nullopt;
  return std::string{std::istreambuf_iterator<char>{in}, {}};
}

/// Text on disk, the name not yet. After a failure the file is as it was.
outcome put_in_place(const std::string& file, const std::string& text) {
  auto fresh = file + ".new";
  ::unlink(fresh.c_str()); // of a process that was killed here; a link is not followed
  int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  bool done = fd >= 0 && write_all(fd, text, file) && ::fsync(fd) == 0;
  int error = errno;
  if (fd >= 0)
    ::close(fd);
  if (done && ::rename(fresh.c_str(), file.c_str()) == 0)
    return {};
  error = done ? errno : error;
  ::unlink(fresh.c_str());
  errno = error;
  return last_error("cannot write " + file);
}

} // namespace

outcome write_all(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    auto written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    // A disk that is full takes a part first, and only refuses the rest of it.
    if (written < 0)
      return last_error("cannot write " + name);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

outcome sync_directory(const std::string& directory) {
  int fd = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool done = fd >= 0 && ::fsync(fd) == 0;
  auto out = done ? outcome{} : last_error("cannot bring " + directory + " to disk");
  if (fd >= 0)
    ::close(fd);
  return out;
}

outcome write_durably(const std::string& file, const std::string& text, when_unsure then) {
  auto before = then == when_unsure::put_back ? text_of(file) : std::nullopt;
  if (auto put = put_in_place(file, text); !put)
    return put;
  auto synced = sync_directory(std::filesystem::path{file}.parent_path().string());
  if (synced || then == when_unsure::keep)
    return synced;
  auto back = before                        ? put_in_place(file, *before)
              : ::unlink(file.c_str()) == 0 ? outcome{}
                                            : last_error("cannot remove " + file);
  if (back)
    return synced;
  return outcome::failure(synced.why() + "; " + file
                          + " is the new one all the same: " + back.why());
}

} // namespace phi
