#pragma once
/// Which batches the spool must hold: a file of its own beside the spool's, one line a batch that
/// came or went, each with a checksum, flushed before anybody is told. So a spool that has lost
/// some, whatever SQLite says about it, is found out.

#include "protocol/platform/descriptor.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace phi::store {

struct indexed_batch {
  int64_t number = 0;
  int64_t events = 0;

  auto operator<=>(const indexed_batch&) const = default;
};

inline int64_t events_of(const std::vector<indexed_batch>& list) {
  int64_t out = 0;
  for (const auto& batch : list)
    out += batch.events;
  return out;
}

class spool_index {
public:
  spool_index() = default;
  ~spool_index() { close(); }
  spool_index(const spool_index&) = delete;
  spool_index& operator=(const spool_index&) = delete;

  /// Reads the file at `path`: which batches must be there, by number. Throws std::runtime_error
  /// when it cannot, or when a newer version has written it; then it is as it was.
  std::vector<indexed_batch> open(const std::string& path);
  void close() noexcept;

  /// Whether there was no file: nothing is known then.
  bool is_new() const { return is_new_; }
  /// Lines that say nothing any more, but for one at the end, which a crash may leave.
  uint64_t damaged_lines() const { return damaged_; }
  /// The highest number that was ever given away.
  int64_t last() const { return last_; }

  uint64_t size() const { return size_; } ///< bytes

  /// A batch has come. On disk when it returns; throws std::system_error when it cannot be written.
  void add(indexed_batch batch);
  /// Batches are about to go. The same.
  void remove(std::span<const int64_t> numbers);
  /// These batches and no others: the file is written anew. The same.
  void replace(const std::vector<indexed_batch>& held, int64_t last);

private:
  void append(const std::string& lines);

  std::string path_;
  int64_t last_ = 0;
  uint64_t size_ = 0; ///< bytes of whole lines
  uint64_t damaged_ = 0;
  owned_fd file_;
  bool is_new_ = true;
};

} // namespace phi::store
