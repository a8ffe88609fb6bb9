#pragma once
/// The lines of a file, plain, gzip or zstd, in bounded memory.

#include <cstdint>
#include <memory>
#include <string>

namespace phi::ctl {

class line_reader {
public:
  class source; ///< where the bytes come from

  /// Throws `failure` when the file cannot be opened. The kind is told by its first bytes.
  explicit line_reader(const std::string& file);
  ~line_reader();
  line_reader(const line_reader&) = delete;

  /// False at the end. Throws `failure` when the file is damaged.
  bool next(std::string& line);

  /// How much of the file as it is on disk has been read, from 0 to 1.
  double done() const;

private:
  std::unique_ptr<source> source_;
  std::string rest_;
  size_t at_ = 0;
  bool ended_ = false;
  double size_ = 0;
};

/// What names a file by its content: size and a digest of its beginning, 16 hex digits.
std::string fingerprint(const std::string& file);

} // namespace phi::ctl
