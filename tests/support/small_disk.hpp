#pragma once
/// A small file system of its own; needs the right to mount.

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/mount.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace phi::testing {

class small_disk {
public:
  /// Throws when it cannot be mounted.
  small_disk(std::string at, const std::string& size) : at_(std::move(at)) {
    std::filesystem::create_directories(at_);
    if (::mount("phi-test", at_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) != 0)
      throw std::system_error{errno, std::generic_category(), "cannot mount at " + at_};
  }
  ~small_disk() { ::umount2(at_.c_str(), MNT_DETACH); }
  small_disk(const small_disk&) = delete;

  /// Leaves not a byte.
  void fill() const {
    // Closed on exec: a service that is started meanwhile would keep it, and the disk full for
    // ever.
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> out{
      std::fopen((at_ + "/ballast").c_str(), "wbe"), &std::fclose};
    std::string block(65536, 'x');
    while (out && std::fwrite(block.data(), 1, block.size(), out.get()) == block.size()
           && std::fflush(out.get()) == 0) {
    }
  }
  void clear() const { std::filesystem::remove(at_ + "/ballast"); }

private:
  std::string at_;
};

/// A case that wants a small disk has this to say whether it is skipped, and counted so.
inline bool may_not_mount() {
  static const bool may_not = [] {
    auto at = std::filesystem::temp_directory_path() / ("phi-mount-" + std::to_string(::getpid()));
    bool failed = false;
    try {
      small_disk probe{at, "4k"};
    } catch (const std::exception&) {
      failed = true;
    }
    std::error_code ignored;
    std::filesystem::remove(at, ignored);
    return failed;
  }();
  return may_not;
}

} // namespace phi::testing
