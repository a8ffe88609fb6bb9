#pragma once
/// A small file system of its own; needs the right to mount.

#include <filesystem>
#include <fstream>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>
#include <utility>

namespace phi::testing {

class small_disk {
public:
  small_disk(std::string at, const std::string& size) : at_(std::move(at)) {
    ::mkdir(at_.c_str(), 0755);
    mounted_ = ::mount("phi-test", at_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~small_disk() {
    if (mounted_)
      ::umount2(at_.c_str(), MNT_DETACH);
  }
  small_disk(const small_disk&) = delete;

  bool mounted() const { return mounted_; }

  /// Leaves not a byte.
  void fill() const {
    std::ofstream out{at_ + "/ballast", std::ios::binary};
    std::string block(65536, 'x');
    while (out << block << std::flush) {
    }
  }
  void clear() const { std::filesystem::remove(at_ + "/ballast"); }

private:
  std::string at_;
  bool mounted_;
};

} // namespace phi::testing
