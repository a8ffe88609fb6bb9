#pragma once
/// Turns lines that other programs have written into events: access logs, and tables.

#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace phi::ctl {

/// What becomes of a line: an event, or why there is none.
struct converted_line {
  nlohmann::ordered_json event;
  std::string why;       ///< not empty: the line is wrong
  bool left_out = false; ///< the line is right, and tells of no event: a header, another log
};

class line_converter {
public:
  virtual ~line_converter() = default;
  virtual converted_line convert(std::string_view line) = 0;
  /// The first line of a file, also where an import goes on behind it. True: it is no event.
  virtual bool take_header(std::string_view) { return false; }
};

/// The names of the formats, parted by spaces.
inline constexpr std::string_view log_formats = "events combined common caddy nginx-json csv";

/// By one of these names; null for `events`, which are events already.
///
/// Of a request in an access log become `time`, `method`, `route` (the path without what is behind
/// `?`), `status` and, where it is logged, `durationMs`. `user` is who has logged in, or else the
/// address with the user agent, which tells visitors apart as well as a log can; the service stores
/// a hash of it. `userKind` is "bot" for who says so, or names no browser; else "visitor", or
/// "user" for who has logged in.
std::unique_ptr<line_converter> make_converter(std::string_view format);

} // namespace phi::ctl
