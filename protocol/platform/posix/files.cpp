#include "protocol/platform/files.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace phi {
namespace {

constexpr mode_t for_owner = 0600;

int flags_of(open_mode mode) {
  switch (mode) {
    case open_mode::read: return O_RDONLY;
    case open_mode::write: return O_WRONLY;
    case open_mode::write_or_make: return O_WRONLY | O_CREAT;
    case open_mode::write_anew: return O_WRONLY | O_CREAT | O_TRUNC;
    case open_mode::make: return O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    case open_mode::to_lock: return O_RDWR | O_CREAT;
    case open_mode::to_lock_nofollow: break;
  }
  return O_RDWR | O_CREAT | O_NOFOLLOW;
}

const char* or_here(const std::string& directory) {
  return directory.empty() ? "." : directory.c_str();
}

/// Writes all of it with `write`, which takes what is left and may take a part of it.
template <class Write>
bool write_with(std::string_view bytes, Write write) {
  while (!bytes.empty()) {
    auto written = write(bytes);
    if (written < 0 && errno == EINTR)
      continue;
    // A disk that is full takes a part first, and only refuses the rest of it.
    if (written == 0)
      errno = EIO; // never of a file: what takes nothing would be asked for ever
    if (written <= 0)
      return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

constexpr int to_read_unknown = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

file_facts::type type_of(mode_t mode) {
  return S_ISREG(mode)    ? file_facts::type::file
         : S_ISDIR(mode)  ? file_facts::type::directory
         : S_ISSOCK(mode) ? file_facts::type::socket
                          : file_facts::type::other;
}

std::optional<file_facts> facts(int failed, const struct stat& about) {
  if (failed != 0)
    return std::nullopt;
  return file_facts{.kind = type_of(about.st_mode),
                    .device = about.st_dev,
                    .number = about.st_ino,
                    .size = static_cast<uint64_t>(about.st_size),
                    .owner = about.st_uid,
                    .group = about.st_gid};
}

} // namespace

owned_fd open_file(const std::string& path, open_mode mode) {
  return owned_fd{::open(path.c_str(), flags_of(mode) | O_CLOEXEC, for_owner)};
}

bool write_bytes(int fd, std::string_view bytes) {
  return write_with(bytes,
                    [fd](std::string_view left) { return ::write(fd, left.data(), left.size()); });
}

bool write_bytes_at(int fd, std::string_view bytes, uint64_t at) {
  auto end = at + bytes.size();
  return write_with(bytes, [fd, end](std::string_view left) {
    return ::pwrite(fd, left.data(), left.size(), static_cast<off_t>(end - left.size()));
  });
}

ptrdiff_t read_some(int fd, char* to, size_t size) {
  ssize_t got = 0;
  do
    got = ::read(fd, to, size);
  while (got < 0 && errno == EINTR);
  return got;
}

bool rewind_file(int fd) {
  return ::lseek(fd, 0, SEEK_SET) == 0;
}

bool is_at_beginning(int fd) {
  return ::lseek(fd, 0, SEEK_CUR) == 0;
}

bool cut_file(int fd, uint64_t bytes) {
  return ::ftruncate(fd, static_cast<off_t>(bytes)) == 0;
}

bool reserve_room(int fd, int64_t bytes) {
  int error = ::posix_fallocate(fd, 0, bytes);
  if (error != 0)
    errno = error;
  return error == 0;
}

bool flush_file(int fd) {
  return ::fsync(fd) == 0;
}

bool flush_content(int fd) {
  return ::fdatasync(fd) == 0;
}

bool flush_names_in(const std::string& directory) {
  owned_fd fd{::open(or_here(directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  return fd && flush_file(fd.get());
}

bool remove_file(const std::string& path) {
  return ::unlink(path.c_str()) == 0;
}

bool replace_file(const std::string& from, const std::string& to) {
  return ::rename(from.c_str(), to.c_str()) == 0;
}

bool move_file(const std::string& from, const std::string& to) {
  return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0;
}

bool link_file(const std::string& from, const std::string& to) {
  return ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0) == 0;
}

owned_fd open_unnamed(const std::string& directory) {
  return owned_fd{::open(or_here(directory), O_TMPFILE | O_WRONLY | O_CLOEXEC, for_owner)};
}

bool name_file(int fd, const std::string& path) {
  auto self = "/proc/self/fd/" + std::to_string(fd); // open(2), O_TMPFILE
  return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

owned_fd open_unknown(const std::string& path) {
  return owned_fd{::open(path.c_str(), to_read_unknown)};
}

owned_fd open_unknown_in(int directory, const std::string& name) {
  return owned_fd{::openat(directory, name.c_str(), to_read_unknown | O_NOFOLLOW)};
}

owned_fd open_directory_without_links(const std::string& path) {
  owned_fd at{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  for (const auto& name : std::filesystem::path{path}.relative_path())
    at = owned_fd{::openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  return at;
}

std::optional<file_facts> facts_at(const std::string& path) {
  struct stat about {};
  return facts(::stat(path.c_str(), &about), about);
}

std::optional<file_facts> facts_of_link(const std::string& path) {
  struct stat about {};
  return facts(::lstat(path.c_str(), &about), about);
}

std::optional<file_facts> facts_of_open(int fd) {
  struct stat about {};
  return facts(::fstat(fd, &about), about);
}

bool may_work_in(const std::string& directory) {
  return ::access(directory.c_str(), R_OK | W_OK | X_OK) == 0;
}

bool take_lock(int fd) {
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0;
}

void show_lock(int fd) {
  struct flock held {};
  held.l_type = F_WRLCK;
  ::fcntl(fd, F_OFD_SETLK, &held);
}

bool is_lock_shown(int fd) {
  struct flock held {};
  held.l_type = F_RDLCK;
  return ::fcntl(fd, F_OFD_GETLK, &held) != 0 || held.l_type != F_UNLCK;
}

} // namespace phi
