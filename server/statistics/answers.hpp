#pragma once
/// Who answers the questions about what was counted: a function each, in the file of its name. All
/// are `statistics_query::answer_function`s: JSON text out of the counts, the same for every
/// database, within one transaction.

#include "protocol/questions.hpp"

namespace phi::statistics {

/// Events and errors of each day, by feature, route and method.
std::string daily(tally_source& counts, const question_parameters& parameters,
                  std::optional<int64_t> start_at_us);

/// Events and users of each day and feature.
std::string daily_features(tally_source& counts, const question_parameters& parameters,
                           std::optional<int64_t> start_at_us);

/// Everything at a glance; `include` asks for more.
std::string summary(tally_source& counts, const question_parameters& parameters,
                    std::optional<int64_t> start_at_us);

} // namespace phi::statistics
