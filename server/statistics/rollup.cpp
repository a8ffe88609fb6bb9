#include "server/statistics/rollup.hpp"

#include "protocol/own_request.hpp"
#include "server/statistics/latency.hpp"

#include <algorithm>
#include <functional>
#include <limits>

namespace phi::statistics {
namespace {

void mix(size_t& seed, size_t value) {
  seed ^= value + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2);
}

void add_count(rollup_sums& sums, const event& e) {
  bool first = sums.n++ == 0;
  sums.errors += e.status >= 400;
  sums.first_us = first ? e.time_us : std::min(sums.first_us, e.time_us);
  sums.last_us = first ? e.time_us : std::max(sums.last_us, e.time_us);
  if (e.duration_us < 0)
    return;
  first = sums.timed++ == 0;
  // See `add_count` in statements.hpp: the sum stays at the end of its range.
  sums.sum_us += std::min(e.duration_us, std::numeric_limits<int64_t>::max() - sums.sum_us);
  sums.min_us = first ? e.duration_us : std::min(sums.min_us, e.duration_us);
  sums.max_us = first ? e.duration_us : std::max(sums.max_us, e.duration_us);
}

} // namespace

size_t rollup_key_hash::operator()(const rollup_key& key) const noexcept {
  std::hash<std::string_view> hash;
  size_t seed = static_cast<size_t>(key.slot * 1'000'003 + key.number);
  mix(seed, hash(key.a));
  mix(seed, hash(key.b));
  mix(seed, hash(key.c));
  mix(seed, hash(key.d));
  return seed;
}

void rollup::add(const event& e) {
  auto slot = slot_of(e.time_us);
  auto day = day_of_slot(slot);
  auto slot_in_day = slot - day * slots_per_day;
  if (!e.address_hash.empty())
    addresses[{day, 0, e.address_hash, {}, {}, {}}].set(slot_in_day);
  if (e.action == own_request_action)
    return; // clients are counted, what they asked of us is not
  add_count(counts[{slot, e.status / 100, e.feature, e.action, e.route, e.method}], e);
  if (e.status != 0)
    ++statuses[{slot, e.status, e.feature, {}, {}, {}}];
  if (!e.instance.empty())
    ++instances[{slot, 0, e.feature, e.instance, {}, {}}];
  if (e.duration_us >= 0)
    ++latencies[{slot, latency_bucket(e.duration_us), e.feature, e.route, e.method, {}}];
  if (!e.user_hash.empty())
    users[{day, 0, e.feature, e.user_hash, e.user_kind, {}}].set(slot_in_day);
}

void rollup::clear() {
  counts.clear();
  statuses.clear();
  instances.clear();
  latencies.clear();
  users.clear();
  addresses.clear();
}

} // namespace phi::statistics
