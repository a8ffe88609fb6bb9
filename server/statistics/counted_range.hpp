#pragma once
/// What the questions share: from days of a zone to slots of UTC, and what is counted in them.

#include "protocol/questions.hpp"
#include "server/statistics/tally.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace phi::statistics {

using json = nlohmann::ordered_json;

/// The parameters `timezone`, `start`, `end`, `feature`, and the counts that they mean.
class counted_range {
public:
  /// `counts` and `parameters` must outlive it. Nothing before `start_at_us` is counted.
  counted_range(tally_source& counts, const question_parameters& parameters,
                std::optional<int64_t> start_at_us);

  const std::string& zone() const { return zone_; }
  std::optional<int32_t> first_day() const { return first_day_; }
  std::optional<int32_t> last_day() const { return last_day_; }
  const std::optional<std::string>& feature() const { return feature_; }

  /// What is counted from the first day to the last; without them, of all there is.
  tally whole(const tally_parts& wanted = {}) const;
  /// Of one day of the zone.
  tally of_day(int32_t day, const tally_parts& wanted = {}) const;

private:
  slot_range slots_of(int32_t day) const;
  tally count(slot_range range, const tally_parts& wanted) const;

  tally_source& counts_;
  std::string zone_;
  std::optional<int32_t> first_day_;
  std::optional<int32_t> last_day_;
  std::optional<std::string> feature_;
  std::optional<int64_t> start_at_us_;
};

/// An empty text stands for none.
inline json text_or_null(std::string text) {
  return text.empty() ? json{} : json(std::move(text));
}

} // namespace phi::statistics
