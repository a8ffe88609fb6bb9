#pragma once
/// What `GET /stats/series` asks for, and whether it can be told.

#include "protocol/questions.hpp"
#include "server/statistics/grouped_counts.hpp"
#include "server/statistics/time_zones.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phi::statistics {

/// A number of a row.
struct series_metric {
  using value_of = nlohmann::ordered_json (*)(const group_counts& counted);

  std::string_view name;  ///< in the question
  std::string_view field; ///< in the answer
  measure needs = measure::events;
  value_of value = nullptr; ///< null where there is nothing that it could be of
};

/// From one moment to another.
struct series_range {
  moment first;
  moment last; ///< a day is in it, a time is not

  time_range in_zone(const std::string& zone) const;
  /// For people: it ends before it begins, or at once. Empty: nothing. (A day that a zone has
  /// skipped is as good as any.)
  std::string what_is_wrong(const std::string& zone) const;
  /// As long, right before.
  series_range previous(const std::string& zone) const;
};

struct series_question {
  std::string zone;
  series_range range;
  std::optional<series_range> compared;
  interval every = interval::day;
  std::string by_name = "none";
  grouped_query query; ///< but for its buckets and the keys to keep
  std::vector<const series_metric*> metrics;
  size_t top = 20;
};

/// What of a parameter cannot be answered, and what can be asked instead.
struct parameter_complaint {
  std::string_view parameter;
  std::string message;
};

/// `complaints` not empty: it cannot be answered.
series_question read_series_question(const question_parameters& parameters,
                                     std::vector<parameter_complaint>& complaints);

} // namespace phi::statistics
