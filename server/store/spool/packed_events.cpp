#include "server/store/spool/packed_events.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <stdexcept>

namespace phi::store {
namespace {

using json = nlohmann::json;

json values_of(const event& e) {
  return {e.time_us,      json::binary({e.identity.begin(), e.identity.end()}),
          e.feature,      e.action,
          e.route,        e.method,
          e.status,       e.duration_us,
          e.user_hash,    e.user_kind,
          e.address_hash, e.instance,
          e.extra};
}

event event_of(const json& values) {
  const auto& identity = values.at(1).get_binary();
  event e{.time_us = values.at(0),
          .feature = values.at(2),
          .action = values.at(3),
          .route = values.at(4),
          .method = values.at(5),
          .status = values.at(6),
          .duration_us = values.at(7),
          .user_hash = values.at(8),
          .user_kind = values.at(9),
          .address_hash = values.at(10),
          .instance = values.at(11),
          .extra = values.at(12)};
  if (identity.size() != e.identity.size())
    throw std::runtime_error("an identity has the wrong size");
  std::copy(identity.begin(), identity.end(), e.identity.begin());
  return e;
}

} // namespace

std::string pack_events(const commit_batch& batch) {
  json all = json::array();
  for (const auto& request : batch.requests)
    for (const auto& e : request.events)
      all.push_back(values_of(e));
  std::string out;
  json::to_msgpack(all, out);
  return out;
}

size_t packed_at_least(const commit_batch& batch) {
  // The array of its values, a time of one byte, the identity, nine texts, two numbers.
  constexpr size_t least = 1 + 1 + (2 + sizeof(digest)) + 9 + 2;
  size_t out = 1;
  for (const auto& request : batch.requests)
    for (const auto& e : request.events)
      out += least + e.footprint() - sizeof(event);
  return out;
}

std::vector<event> unpack_events(const std::string& bytes) {
  try {
    std::vector<event> out;
    const auto all = json::from_msgpack(bytes);
    for (const auto& values : all)
      out.push_back(event_of(values));
    return out;
  } catch (const json::exception& e) {
    throw std::runtime_error(e.what());
  }
}

} // namespace phi::store
