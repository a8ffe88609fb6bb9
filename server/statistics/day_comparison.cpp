#include "server/statistics/day_comparison.hpp"

#include "protocol/text/rfc3339.hpp"
#include "server/statistics/latency.hpp"

#include <algorithm>
#include <functional>
#include <set>

namespace phi::statistics {
namespace {

/// Instead of a slot: the day as a whole.
constexpr uint64_t whole_day = slots_per_day;

/// Days that are named of those that differ.
constexpr size_t most_named = 10;

/// Each bit depends on all bits of both (the finalizer of SplitMix64).
uint64_t mixed(uint64_t a, uint64_t b) {
  auto x = (a ^ b * 0x9e3779b97f4a7c15ULL) + 0x9e3779b97f4a7c15ULL;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}

uint64_t hash_of(std::string_view text) {
  return std::hash<std::string_view>{}(text);
}

template <class... More>
uint64_t hash_of(uint64_t first, More... more) {
  uint64_t out = mixed(first, sizeof...(more));
  ((out = mixed(out, static_cast<uint64_t>(more))), ...);
  return out;
}

} // namespace

struct day_digests::hashed_key {
  uint64_t feature = 0, action = 0, route = 0, method = 0;
  int32_t status = 0;
};

uint64_t day_digests::day::of_bounds() const {
  return hash_of(static_cast<uint64_t>(first_us), last_us, shortest_us, longest_us);
}

bool day_digests::day::is_mixed(aspect wanted) const {
  auto any = [&](std::initializer_list<dimension> all) {
    return std::any_of(all.begin(), all.end(),
                       [&](dimension kind) { return mixed[static_cast<size_t>(kind)]; });
  };
  using enum dimension;
  switch (wanted) {
    case aspect::features: return any({feature});
    case aspect::actions: return any({action});
    case aspect::routes: return any({route});
    case aspect::methods: return any({method});
    case aspect::combinations: return any({feature, action, route, method});
    case aspect::latencies: return any({feature, route, method});
    case aspect::instances: return any({feature, instance});
    default: return false;
  }
}

bool day_digests::day::is_alike(const day& other, aspect wanted) const {
  if (wanted == aspect::bounds)
    return of_bounds() == other.of_bounds();
  const auto at = static_cast<size_t>(wanted);
  return other.is_mixed(wanted) || sums[at] == other.sums[at];
}

/// `slot`: of the day, or `whole_day`.
void day_digests::add_sums(day& to, const hashed_key& key, const count_sums& sums, uint64_t slot) {
  const auto sum_us = static_cast<uint64_t>(sums.sum_us); // all of it is modulo 2^64
  auto durations = [&](uint64_t whose) {
    return hash_of(whose, slot, 1) * sums.timed + hash_of(whose, slot, 2) * sum_us;
  };
  to[aspect::events] += hash_of(0, slot) * sums.n;
  to[aspect::durations] += hash_of(0, slot, 1) * sums.timed + hash_of(0, slot, 2) * sum_us;
  to[aspect::features] += hash_of(key.feature, slot) * sums.n;
  to[aspect::actions] += hash_of(key.action, slot) * sums.n;
  to[aspect::routes] += hash_of(key.route, slot) * sums.n;
  to[aspect::methods] += hash_of(key.method, slot) * sums.n;
  to[aspect::statuses] += hash_of(static_cast<uint64_t>(key.status), slot) * sums.n;
  const auto all = hash_of(key.feature, key.action, key.route, key.method, key.status);
  to[aspect::combinations] += hash_of(all, slot) * sums.n + durations(all);
}

void day_digests::add(const counted_event& e) {
  const auto slot_number = slot_of(e.time_us);
  const auto number = day_of_slot(slot_number);
  const auto slot = static_cast<uint64_t>(slot_number - number * slots_per_day);
  if (e.address != 0)
    addresses_.add(hash_of(e.address, number, slot) | 1);
  if (e.of_ourselves())
    return;
  auto& to = days_[number];
  const hashed_key key{hash_of(e.feature), hash_of(e.action), hash_of(e.route), hash_of(e.method),
                       e.status};
  count_sums sums{.n = 1};
  if (e.duration_us >= 0) {
    sums.timed = 1;
    sums.sum_us = static_cast<uint128>(e.duration_us);
    to.shortest_us = std::min(to.shortest_us, e.duration_us);
    to.longest_us = std::max(to.longest_us, e.duration_us);
  }
  for (auto at : {slot, whole_day}) {
    add_sums(to, key, sums, at);
    if (e.duration_us >= 0)
      to[aspect::latencies] +=
        hash_of(key.feature, key.route, key.method, latency_bucket(e.duration_us), at);
  }
  to.first_us = std::min(to.first_us, e.time_us);
  to.last_us = std::max(to.last_us, e.time_us);
  if (!e.instance.empty())
    to[aspect::instances] += hash_of(key.feature, hash_of(e.instance), slot);
  if (e.user != 0) {
    add_user(number, slot, key.feature, hash_of(e.user_kind), e.user);
    users_.add(hash_of(e.user, number, whole_day) | 1);
  }
}

void day_digests::add_user(int64_t day, uint64_t slot, uint64_t feature, uint64_t kind,
                           uint64_t person) {
  users_.add(hash_of(person, day, slot) | 1);
  groups_.add(hash_of(person, day, slot, feature, kind) | 1);
}

void day_digests::add(const cube& whole) {
  hashed_texts texts;
  for (size_t i = 0; i < dimensions; ++i)
    for (const auto& text : whole.texts[i])
      texts[i].push_back(hash_of(text));
  add_people(whole, texts);
  if (std::all_of(whole.combinations.begin(), whole.combinations.end(),
                  [&](const combination& key) { return whole.is_own(key.feature); }))
    return;
  auto& to = days_[whole.day];
  for (size_t i = 0; i < dimensions; ++i)
    to.mixed[i] |=
      std::find(whole.texts[i].begin(), whole.texts[i].end(), other_text) != whole.texts[i].end();
  add_counts(to, whole, texts);
}

void day_digests::add_counts(day& to, const cube& whole, const hashed_texts& texts) {
  auto text = [&](dimension kind, uint32_t number) {
    return texts[static_cast<size_t>(kind)][number];
  };
  auto key_of = [&](const combination& key) {
    return hashed_key{text(dimension::feature, key.feature), text(dimension::action, key.action),
                      text(dimension::route, key.route), text(dimension::method, key.method),
                      key.status};
  };
  for (size_t i = 0; i < whole.combinations.size(); ++i) {
    if (whole.is_own(whole.combinations[i].feature))
      continue;
    const auto& sums = whole.day_sums[i];
    add_sums(to, key_of(whole.combinations[i]), sums, whole_day);
    if (sums.timed > 0) {
      to.shortest_us = std::min(to.shortest_us, sums.min_us);
      to.longest_us = std::max(to.longest_us, sums.max_us);
    }
  }
  for (const auto& cell : whole.cells)
    if (!whole.is_own(whole.combinations[cell.combination].feature))
      add_sums(to, key_of(whole.combinations[cell.combination]), cell.sums, cell.slot);
  for (const auto& span : whole.spans) {
    if (whole.is_own(span.feature))
      continue;
    to.first_us = std::min(to.first_us, span.first_us);
    to.last_us = std::max(to.last_us, span.last_us);
  }
  auto latency = [&](uint32_t timed, int bucket, uint64_t slot) {
    const auto& key = whole.timed_routes[timed];
    return hash_of(text(dimension::feature, key.feature), text(dimension::route, key.route),
                   text(dimension::method, key.method), bucket, slot);
  };
  auto of_own_route = [&](uint32_t timed) {
    return whole.is_own(whole.timed_routes[timed].feature);
  };
  for (const auto& row : whole.day_buckets)
    if (!of_own_route(row.timed_route))
      to[aspect::latencies] += latency(row.timed_route, row.bucket, whole_day) * row.n;
  for (const auto& row : whole.slot_buckets)
    if (!of_own_route(row.timed_route))
      to[aspect::latencies] += latency(row.timed_route, row.bucket, row.slot) * row.n;
  for (const auto& row : whole.instances)
    if (!whole.is_own(row.feature))
      to[aspect::instances] += hash_of(text(dimension::feature, row.feature),
                                       text(dimension::instance, row.instance), row.slot)
                               * row.n;
}

void day_digests::add_people(const cube& whole, const hashed_texts& texts) {
  for (auto person : whole.persons)
    users_.add(hash_of(person, int64_t{whole.day}, whole_day) | 1);
  for (const auto& user : whole.users) {
    const auto& group = whole.user_groups[user.group];
    for (int64_t slot = 0; slot < slots_per_day; ++slot)
      if (user.active.test(slot))
        add_user(whole.day, static_cast<uint64_t>(slot),
                 texts[static_cast<size_t>(dimension::feature)][group.feature],
                 texts[static_cast<size_t>(dimension::user_kind)][group.kind],
                 whole.persons[user.person]);
  }
  for (const auto& address : whole.addresses)
    for (int64_t slot = 0; slot < slots_per_day; ++slot)
      if (address.active.test(slot))
        addresses_.add(hash_of(address.hash, int64_t{whole.day}, static_cast<uint64_t>(slot)) | 1);
}

std::vector<compared> day_digests::compare(const day_digests& rows, const day_digests& cubes) {
  constexpr std::array names{"days by events",    "days by durations", "days by bounds",
                             "days by features",  "days by actions",   "days by routes",
                             "days by methods",   "days by statuses",  "days by combinations",
                             "days by latencies", "days by instances"};
  static_assert(names.size() == aspects);
  std::set<int64_t> all;
  bool any_group_is_mixed = false;
  for (const auto* side : {&rows, &cubes})
    for (const auto& [number, day] : side->days_) {
      all.insert(number);
      any_group_is_mixed |= day.mixed[static_cast<size_t>(dimension::feature)]
                            || day.mixed[static_cast<size_t>(dimension::user_kind)];
    }
  const day nothing;
  auto digests_of = [&](const day_digests& side, int64_t number) -> const day& {
    auto found = side.days_.find(number);
    return found == side.days_.end() ? nothing : found->second;
  };
  std::vector<compared> out;
  for (size_t i = 0; i < aspects; ++i) {
    compared check{.name = names[i],
                   .rows = static_cast<wide_number>(all.size()),
                   .derived = static_cast<wide_number>(all.size()),
                   .days = {}};
    for (auto number : all) {
      if (digests_of(rows, number).is_alike(digests_of(cubes, number), static_cast<aspect>(i)))
        continue;
      --check.derived;
      if (check.days.size() < most_named)
        check.days.push_back(format_date(static_cast<int32_t>(number)));
    }
    out.push_back(std::move(check));
  }
  auto add = [&](const char* name, const char* sum, const distinct_count& a,
                 const distinct_count& b) {
    out.push_back(
      {name, static_cast<wide_number>(a.count()), static_cast<wide_number>(b.count()), {}});
    out.push_back({sum, static_cast<wide_number>(a.sum()), static_cast<wide_number>(b.sum()), {}});
  };
  add("users by time", "sum of users by time", rows.users_, cubes.users_);
  if (!any_group_is_mixed)
    add("users by group", "sum of users by group", rows.groups_, cubes.groups_);
  add("addresses by time", "sum of addresses by time", rows.addresses_, cubes.addresses_);
  return out;
}

} // namespace phi::statistics
