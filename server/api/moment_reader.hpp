#pragma once
/// Days, times and ranges as questions give them: "2026-01-31", "yesterday", "-24h", and what is
/// wrong with those that are none.

#include "protocol/questions.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace phi::api {

/// Reads them as they are meant in one zone at one time.
class moment_reader {
public:
  /// `now_us`: since 1970.
  moment_reader(std::string zone, int64_t now_us) : zone_(std::move(zone)), now_us_(now_us) {}

  /// Days since 1970-01-01.
  std::optional<int32_t> day(std::string_view text) const;
  /// A day, or a time at a quarter of an hour.
  std::optional<moment> time(std::string_view text) const;
  /// "previous", or two of these with ".." between them.
  std::optional<range_to_compare> range(std::string_view text) const;

private:
  std::string zone_;
  int64_t now_us_;
};

// Of a text that the reader does not take: what to change.

std::string what_is_wrong_with_day(std::string_view text);
std::string what_is_wrong_with_moment(std::string_view text);
std::string what_is_wrong_with_range(std::string_view text, const moment_reader& read);

} // namespace phi::api
