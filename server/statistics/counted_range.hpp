#pragma once
/// What the questions share: from days of a zone to slots of UTC, and what is counted in them.

#include "protocol/questions.hpp"
#include "server/statistics/grouped_counts.hpp"
#include "server/statistics/tally.hpp"
#include "server/statistics/time_zones.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

namespace phi::statistics {

using json = nlohmann::ordered_json;

/// The parameters `timezone`, `start`, `end`, `feature`, `source`, and the counts that they mean.
class counted_range {
public:
  /// `counts` and `parameters` must outlive it. Nothing before `start_at_us` is counted.
  counted_range(tally_source& counts, const question_parameters& parameters,
                std::optional<int64_t> start_at_us);

  const std::string& zone() const { return zone_; }
  std::optional<int32_t> first_day() const { return first_day_; }
  std::optional<int32_t> last_day() const { return last_day_; }
  const std::optional<std::string>& feature() const { return feature_; }
  bool own() const { return own_; } ///< of the service's own requests

  /// What is counted from the first day to the last; without them, of all there is.
  tally whole(const tally_parts& wanted = {}) const;
  /// The hours, days, weeks or months from the first day to the last, and what of them is counted.
  std::vector<time_bucket> buckets(interval by) const;
  slot_range slots_of(const time_range& range) const;
  /// `{timezone, start, end}`, the days as dates.
  json asked() const;
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
  bool own_;
  std::optional<int64_t> start_at_us_;
};

/// `query` counts only events with the values that the parameters called as `kinds` give; `head`
/// says so, as in `routeFilter`.
void choose_each(std::initializer_list<attribute> kinds, const question_parameters& parameters,
                 grouped_query& query, json& head);

/// An empty text stands for none.
inline json text_or_null(std::string text) {
  return text.empty() ? json{} : json(std::move(text));
}

/// To three places.
inline double milliseconds(double us) {
  return std::round(us) / 1000;
}

} // namespace phi::statistics
