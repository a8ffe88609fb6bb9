#pragma once
/// What the counts must say, slowly and obviously: a walk over all events with maps and sets.

#include "protocol/event.hpp"
#include "protocol/own_request.hpp"
#include "server/statistics/grouped_counts.hpp"

#include <set>
#include <vector>

namespace phi::testing {

/// Of the service's own requests: none.
inline std::string feature_of(const event& e) {
  return e.action == own_request_action ? "" : e.feature;
}

inline bool is_in(const statistics::slot_range& range, int64_t time_us) {
  constexpr __int128 slot = 900'000'000;
  return __int128{time_us} >= range.begin * slot && __int128{time_us} < range.end * slot;
}

inline void count_one(const event& e, const statistics::tally_query& query,
                      statistics::tally& into) {
  auto& sums = into.counts[{feature_of(e), e.action, e.route, e.method}];
  ++sums.n;
  sums.errors += e.status >= 400;
  if (e.duration_us >= 0) {
    sums.min_us = sums.timed++ == 0 ? e.duration_us : std::min(sums.min_us, e.duration_us);
    sums.sum_us += static_cast<statistics::uint128>(e.duration_us);
    sums.max_us = std::max(sums.max_us, e.duration_us);
    if (query.wanted.latency)
      ++into.latencies[statistics::latency_bucket(e.duration_us)];
  }
  auto [span, is_new] = into.spans.try_emplace(feature_of(e));
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
    if ((e.action == own_request_action) != query.own
        || (query.feature && *query.feature != feature_of(e)))
      continue;
    count_one(e, query, out);
    if (e.user_hash.empty() || query.own)
      continue;
    if (query.wanted.users)
      users.insert(e.user_hash);
    if (query.wanted.users_by_kind)
      by_kind[e.user_kind].insert(e.user_hash);
    if (query.wanted.users_by_feature)
      by_feature[feature_of(e)].insert(e.user_hash);
  }
  out.users = users.size();
  out.addresses = addresses.size();
  for (const auto& [kind, persons] : by_kind)
    out.users_by_kind[kind] = persons.size();
  for (const auto& [feature, persons] : by_feature)
    out.users_by_feature[feature] = persons.size();
  return out;
}

// -- groups ---------------------------------------------------------------------------------------

inline std::string value_of(const event& e, statistics::attribute kind) {
  using statistics::attribute;
  switch (kind) {
    case attribute::feature: return feature_of(e);
    case attribute::action: return e.action;
    case attribute::route: return e.route;
    case attribute::method: return e.method;
    case attribute::instance: return e.instance;
    case attribute::user_kind: return e.user_kind;
    case attribute::status: return e.status == 0 ? "" : std::to_string(e.status);
    case attribute::status_class: break;
  }
  return e.status == 0 ? "" : std::to_string(e.status).substr(0, 1) + "xx";
}

inline bool is_chosen(const event& e, const statistics::grouped_query& query) {
  for (size_t i = 0; i < statistics::attributes; ++i)
    if (!query.only[i].empty()
        && !query.only[i].contains(value_of(e, static_cast<statistics::attribute>(i))))
      return false;
  bool by_instance = (query.used() & statistics::set_of(statistics::attribute::instance)) != 0;
  return (e.action == own_request_action) == query.own && !(by_instance && e.instance.empty());
}

inline statistics::group_key key_of(const event& e, const statistics::grouped_query& query) {
  statistics::group_key key;
  for (auto kind : query.by)
    key.push_back(value_of(e, kind));
  if (query.keep && !query.keep->contains(key))
    for (auto& text : key)
      text = "(other)";
  return key;
}

/// Of one bucket.
inline std::map<statistics::group_key, statistics::group_counts>
reference_groups(const std::vector<event>& events, const statistics::grouped_query& query,
                 const statistics::slot_range& bucket) {
  using statistics::measure;
  std::map<statistics::group_key, statistics::group_counts> out;
  std::map<statistics::group_key, std::set<std::string>> users;
  std::set<std::string> addresses;
  const bool whole = can_tell(measure::details, query.used());
  for (const auto& e : events) {
    if (!is_in(bucket, e.time_us))
      continue;
    if (!e.address_hash.empty() && query.wants(measure::addresses))
      addresses.insert(e.address_hash);
    if (!is_chosen(e, query))
      continue;
    auto key = key_of(e, query);
    if (query.wants(measure::events) && !whole)
      ++out[key].n;
    else if (query.wants(measure::events)) {
      auto& sums = out[key];
      ++sums.n;
      sums.client_errors += e.status >= 400 && e.status <= 499;
      sums.server_errors += e.status >= 500;
      if (e.duration_us >= 0) {
        sums.min_us = sums.timed++ == 0 ? e.duration_us : std::min(sums.min_us, e.duration_us);
        sums.max_us = std::max(sums.max_us, e.duration_us);
        sums.sum_us += static_cast<statistics::uint128>(e.duration_us);
      }
    }
    if (query.wants(measure::durations) && e.duration_us >= 0)
      out[key].durations.add(static_cast<uint16_t>(statistics::latency_bucket(e.duration_us)), 1);
    if (query.wants(measure::users) && !e.user_hash.empty() && !query.own)
      users[key].insert(e.user_hash);
  }
  for (const auto& [key, persons] : users)
    out[key].users = persons.size();
  if (!addresses.empty())
    out[{}].addresses = addresses.size();
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
