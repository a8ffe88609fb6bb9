#pragma once
/// What the questions share: from days of a zone to slots of UTC, and rows of the roll-ups in
/// between.

#include "protocol/questions.hpp"
#include "server/statistics/row_source.hpp"
#include "server/statistics/slots.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace phi::statistics {

using json = nlohmann::ordered_json;

/// The parameters `timezone`, `start`, `end`, `feature`, and the rows that they mean.
class counted_range {
public:
  /// `rows` and `parameters` must outlive it. Nothing before `start_at_us` is counted.
  counted_range(row_source& rows, const question_parameters& parameters,
                std::optional<int64_t> start_at_us);

  const std::string& zone() const { return zone_; }
  std::optional<int32_t> first_day() const { return first_day_; }
  std::optional<int32_t> last_day() const { return last_day_; }
  const std::optional<std::string>& feature() const { return feature_; }

  /// From the first day to the last; without them, all there is.
  slot_range whole() const;
  slot_range of_day(int32_t day) const;

  /// A statement whose parameters are the first and the last slot, the feature, and `fourth` and
  /// `fifth`. Its texts must live until the rows are read.
  row_cursor& ask(std::string_view sql, slot_range range, parameter fourth = {},
                  parameter fifth = {}) const;

  /// A statement over a table with one row a UTC day and a bit a slot: users, addresses.
  row_cursor& ask_active(std::string_view sql, slot_range range) const;

private:
  slot_range clamp(slot_range range) const;

  row_source& rows_;
  std::string zone_;
  std::optional<int32_t> first_day_;
  std::optional<int32_t> last_day_;
  std::optional<std::string> feature_;
  std::optional<int64_t> start_at_us_;
};

/// NULL in the database is '' in a roll-up.
inline json text_or_null(std::string text) {
  return text.empty() ? json{} : json(std::move(text));
}

} // namespace phi::statistics
