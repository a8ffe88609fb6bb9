#pragma once
/// Descriptors: the numbers by which the system knows what is open, files and connections alike.

#include <chrono>
#include <cstdint>
#include <utility>

namespace phi {

inline constexpr int standard_input = 0;
inline constexpr int standard_output = 1;
inline constexpr int standard_error = 2;

/// Owns a descriptor and closes it. Below zero: none.
class owned_fd {
public:
  owned_fd() = default;
  explicit owned_fd(int fd) : fd_(fd) {}
  owned_fd(owned_fd&& other) noexcept : fd_(other.release()) {}
  owned_fd& operator=(owned_fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~owned_fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  /// Leaves `errno` as it is, so that it can still say why something failed.
  void reset(int fd = -1);

private:
  int fd_ = -1;
};

/// Another descriptor of the same file or connection, which programs that are started do not
/// inherit. None when the system has none to give: `errno` says why.
owned_fd duplicate(int fd);

/// A program started with a closed stdin, stdout or stderr would get that number for the first file
/// or socket that it opens, and write its words there. Before anything else is opened.
void open_standard_descriptors();

/// What somebody waits for. That a connection is broken is seen in any case.
enum class interest : uint8_t {
  input,           ///< something to read, or the end of it
  input_or_output, ///< either
  output,          ///< room to write, or the end of an attempt to connect
  end,             ///< that the other end closes its side, or both
};

/// What a descriptor is ready for.
struct readiness {
  bool input = false;
  bool output = false;
  bool ended = false;  ///< the other end sends nothing more; only where `interest::end` was asked
  bool broken = false; ///< the connection is no more, or has failed
  bool failed = false; ///< the system cannot watch the descriptor: nothing is known of it

  explicit operator bool() const { return input || output || ended || broken; }
};

/// Waits until the descriptor is ready, `limit` at most; zero: only looks. A signal does not end
/// the wait. Without a descriptor (below zero) it waits for all of `limit`.
readiness wait_until_ready(int fd, interest awaited, std::chrono::milliseconds limit);

} // namespace phi
