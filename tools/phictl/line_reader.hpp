#pragma once
/// The lines of a file, plain, gzip or zstd, in bounded memory.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace phi::ctl {

/// Longer lines are cut: no event may be so long.
inline constexpr size_t max_line_bytes = 1 << 20;

class line_reader {
public:
  class source; ///< where the bytes come from

  /// Throws `failure` when the file cannot be opened. The kind is told by its first bytes.
  explicit line_reader(const std::string& file);
  /// What the end of a file means: that more may be added, or that it is all.
  enum class at_end { is_over, waits };
  /// Plain lines from an open file, such as stdin. Does not own it.
  explicit line_reader(int fd, at_end end = at_end::is_over);
  ~line_reader();
  line_reader(const line_reader&) = delete;

  /// False at the end; where more may come, also before a line that is not whole yet. Throws
  /// `failure` when the file is damaged. Of a line that is too long come its first `max_line_bytes`
  /// bytes and a digest of the rest. A byte order mark at the beginning, and a carriage return
  /// before the end of a line, are left out: the same lines come of a file that was converted.
  bool next(std::string& line);
  /// From now on the end of the file is the end, also of its last line.
  void end() { waits_at_end_ = false; }
  /// So many have been read.
  uint64_t bytes() const { return bytes_; }
  /// Whether the last line was too long.
  bool cut() const { return cut_; }

  /// Whether `next` would have to wait for more.
  bool waits() const;

  /// How much of the file as it is on disk has been read, from 0 to 1.
  double done() const;

private:
  bool take_cut_line(std::string& line);
  void skip_byte_order_mark();
  void read_on();

  std::unique_ptr<source> source_;
  std::string rest_;
  size_t at_ = 0;
  size_t searched_ = 0; ///< up to here there is no end of a line
  bool begun_ = false;
  bool ended_ = false;
  bool cut_ = false;
  bool waits_at_end_ = false;
  uint64_t bytes_ = 0;
  double size_ = 0;
};

/// 128 random bits in hex: an id that nothing else has. Throws `failure`.
std::string random_identity();

/// Identities for the lines of a file, from what they say and all that stands before them: the same
/// for a file that has grown, and for no two files but where they begin with the same lines.
class line_chain {
public:
  /// With another `name` the same lines have other identities.
  explicit line_chain(const std::string& name);
  /// Of the next line: 32 hex digits.
  std::string next(std::string_view line);

private:
  std::array<unsigned char, 32> digest_{};
};

} // namespace phi::ctl
