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

/// Users and addresses of each day.
std::string daily_active_users(tally_source& counts, const question_parameters& parameters,
                               std::optional<int64_t> start_at_us);

/// Events with a route and their errors: of each day, and of its routes.
std::string daily_http(tally_source& counts, const question_parameters& parameters,
                       std::optional<int64_t> start_at_us);

/// How long events took, by day, week or month, feature, route and method.
std::string latencies(tally_source& counts, const question_parameters& parameters,
                      std::optional<int64_t> start_at_us);

/// Any numbers by hour, day, week or month, told apart by whatever the counts can tell.
std::string series(tally_source& counts, const question_parameters& parameters,
                   std::optional<int64_t> start_at_us);

/// Everything at a glance; `include` asks for more.
std::string summary(tally_source& counts, const question_parameters& parameters,
                    std::optional<int64_t> start_at_us);

} // namespace phi::statistics
