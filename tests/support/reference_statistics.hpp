#pragma once
/// What the counts must say, slowly and obviously: a walk over all events with maps and sets.

#include "protocol/event.hpp"
#include "protocol/own_request.hpp"
#include "server/statistics/tally.hpp"

#include <set>
#include <vector>

namespace phi::testing {

inline bool is_in(const statistics::slot_range& range, int64_t time_us) {
  constexpr __int128 slot = 900'000'000;
  return __int128{time_us} >= range.begin * slot && __int128{time_us} < range.end * slot;
}

inline void count_one(const event& e, const statistics::tally_query& query,
                      statistics::tally& into) {
  auto& sums = into.counts[{e.feature, e.action, e.route, e.method}];
  ++sums.n;
  sums.errors += e.status >= 400;
  if (e.duration_us >= 0) {
    ++sums.timed;
    sums.sum_us += static_cast<statistics::uint128>(e.duration_us);
    sums.max_us = std::max(sums.max_us, e.duration_us);
    if (query.wanted.latency)
      ++into.latencies[statistics::latency_bucket(e.duration_us)];
  }
  auto [span, is_new] = into.spans.try_emplace(e.feature);
  if (is_new || e.time_us < span->second.first_us)
    span->second.first_us = e.time_us;
  if (is_new || e.time_us > span->second.last_us)
    span->second.last_us = e.time_us;
  if (query.wanted.statuses && e.status != 0)
    ++into.statuses[e.status];
  if (query.wanted.instances && !e.instance.empty())
    ++into.instances[e.instance];
}

inline statistics::tally reference_tally(const std::vector<event>& events,
                                         const statistics::tally_query& query) {
  statistics::tally out;
  std::set<std::string> users, addresses;
  std::map<std::string, std::set<std::string>> by_kind, by_feature;
  for (const auto& e : events) {
    if (!is_in(query.range, e.time_us))
      continue;
    if (!e.address_hash.empty() && query.wanted.addresses)
      addresses.insert(e.address_hash);
    if (e.action == own_request_action || (query.feature && *query.feature != e.feature))
      continue;
    count_one(e, query, out);
    if (e.user_hash.empty())
      continue;
    if (query.wanted.users)
      users.insert(e.user_hash);
    if (query.wanted.users_by_kind)
      by_kind[e.user_kind].insert(e.user_hash);
    if (query.wanted.users_by_feature)
      by_feature[e.feature].insert(e.user_hash);
  }
  out.users = users.size();
  out.addresses = addresses.size();
  for (const auto& [kind, persons] : by_kind)
    out.users_by_kind[kind] = persons.size();
  for (const auto& [feature, persons] : by_feature)
    out.users_by_feature[feature] = persons.size();
  return out;
}

/// Everything that can be asked of a range.
inline statistics::tally_query everything(statistics::slot_range range,
                                          std::optional<std::string> feature = {}) {
  return {.range = range,
          .feature = std::move(feature),
          .wanted = {.latency = true,
                     .statuses = true,
                     .instances = true,
                     .users = true,
                     .users_by_kind = true,
                     .users_by_feature = true,
                     .addresses = true}};
}

} // namespace phi::testing
