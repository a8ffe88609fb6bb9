#pragma once
/// Whether a file that is open is still the one at its path. An open file that has been moved or
/// deleted takes writes as before, and whoever looks at the path later finds none of them.

#include "protocol/outcome.hpp"

#include <cstdint>
#include <string>

namespace phi::store {

class watched_file {
public:
  watched_file() = default;
  /// Remembers which file is at `path` now. Throws std::runtime_error when there is none.
  explicit watched_file(std::string path);

  /// Whether it is where it was; else what has happened to it, `out_of_reach`.
  outcome in_place() const;

  const std::string& path() const { return path_; }

private:
  std::string path_; ///< empty: nothing is watched
  uint64_t device_ = 0;
  uint64_t number_ = 0;
};

/// The size of the file at `path`; 0 when there is none.
uint64_t size_of_file(const std::string& path);

/// What the disk of the file at `path` has left; 0 when nobody knows.
uint64_t room_beside(const std::string& path);

/// Flushes what a directory says about its files. Throws std::system_error.
void flush_directory(const std::string& path);

} // namespace phi::store
