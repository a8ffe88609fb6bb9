#include "server/statistics/grouped_counts.hpp"

#include <algorithm>
#include <limits>

namespace phi::statistics {
namespace {

/// Distinct values of an attribute over all days; what is past them counts as `other_text`.
constexpr size_t most_values = 1 << 16;

constexpr uint32_t unknown = std::numeric_limits<uint32_t>::max();

/// The dimension of cubes whose texts an attribute has. Not of a status.
constexpr dimension dimension_of(attribute kind) {
  switch (kind) {
    case attribute::action: return dimension::action;
    case attribute::route: return dimension::route;
    case attribute::method: return dimension::method;
    case attribute::instance: return dimension::instance;
    case attribute::user_kind: return dimension::user_kind;
    default: return dimension::feature;
  }
}

constexpr bool is_status(attribute kind) {
  return kind == attribute::status || kind == attribute::status_class;
}

std::string text_of_status(attribute kind, int32_t status) {
  if (status == 0)
    return {};
  return kind == attribute::status ? std::to_string(status) : std::to_string(status / 100) + "xx";
}

} // namespace

attribute_set grouped_query::used() const {
  attribute_set out = 0;
  for (auto kind : by)
    out |= set_of(kind);
  for (size_t i = 0; i < attributes; ++i)
    if (!only[i].empty())
      out |= set_of(static_cast<attribute>(i));
  return out;
}

template <>
size_t key_numbers<group_values>::hash::operator()(const group_values& key) const noexcept {
  uint64_t out = 0;
  for (auto number : key.numbers) {
    out = (out ^ number) * 0x9e3779b97f4a7c15ULL;
    out ^= out >> 32;
  }
  return static_cast<size_t>(out);
}

// -- rows of cubes, and events --------------------------------------------------------------------

/// A row of one of the tables of a cube. What was found out about its texts is kept for the other
/// rows.
class group_builder::cube_row {
public:
  cube_row(group_builder& builder, const cube& part) : builder_(builder), part_(part) {}

  std::array<uint32_t, dimensions> texts{}; ///< of the row; what its table lacks is never asked for
  int32_t status = 0;

  bool is_wanted(attribute kind) {
    if (is_status(kind))
      return builder_.matches(kind, text_of_status(kind, status));
    auto [text, all] = text_of(kind);
    auto& known = wanted_[static_cast<size_t>(kind)];
    known.resize(all.size(), unknown);
    if (known[text] == unknown)
      known[text] = builder_.matches(kind, all[text]) ? 1 : 0;
    return known[text] == 1;
  }

  uint32_t number(size_t position) {
    auto kind = builder_.query_.by[position];
    if (is_status(kind))
      return builder_.number(position, text_of_status(kind, status));
    auto [text, all] = text_of(kind);
    auto& known = numbers_[position];
    known.resize(all.size(), unknown);
    if (known[text] == unknown)
      known[text] = builder_.number(position, all[text]);
    return known[text];
  }

private:
  std::pair<uint32_t, const std::vector<std::string>&> text_of(attribute kind) const {
    auto at = static_cast<size_t>(dimension_of(kind));
    return {texts[at], part_.texts[at]};
  }

  group_builder& builder_;
  const cube& part_;
  std::array<std::vector<uint32_t>, attributes> wanted_;
  std::array<std::vector<uint32_t>, grouped_query::most_by> numbers_;
};

class group_builder::event_row {
public:
  event_row(group_builder& builder, const counted_event& e) : builder_(builder), event_(e) {}

  bool is_wanted(attribute kind) { return builder_.matches(kind, text_of(kind)); }
  uint32_t number(size_t position) {
    return builder_.number(position, text_of(builder_.query_.by[position]));
  }

private:
  std::string text_of(attribute kind) const {
    switch (kind) {
      case attribute::feature:
        return std::string{event_.of_ourselves() ? own_feature : event_.feature};
      case attribute::action: return std::string{event_.action};
      case attribute::route: return std::string{event_.route};
      case attribute::method: return std::string{event_.method};
      case attribute::instance: return std::string{event_.instance};
      case attribute::user_kind: return std::string{event_.user_kind};
      default: return text_of_status(kind, event_.status);
    }
  }

  group_builder& builder_;
  const counted_event& event_;
};

// -- groups ---------------------------------------------------------------------------------------

group_builder::group_builder(const grouped_query& query, const group_limits& limits)
  : query_(query),
    limits_(limits) {
  for (size_t i = 0; i < attributes; ++i)
    if (!query_.only[i].empty() || static_cast<attribute>(i) == attribute::feature)
      filtered_.push_back(static_cast<attribute>(i));
  begin();
}

void group_builder::begin() {
  texts_.clear();
  for (size_t i = 0; i < query_.by.size(); ++i)
    texts_.emplace_back(most_values);
  groups_ = {};
  counted_as_.clear();
  others_.reset();
  numbers_.clear();
  cells_.clear();
  held_ = 0;
  last_ = nullptr;
}

bool group_builder::matches(attribute kind, std::string_view text) const {
  if (kind == attribute::feature) {
    if ((text == own_feature) != query_.own)
      return false;
    text = query_.own ? std::string_view{} : text; // they have no feature
  }
  const auto& only = query_.only[static_cast<size_t>(kind)];
  return only.empty() || only.contains(text);
}

uint32_t group_builder::number(size_t position, std::string_view text) {
  bool beyond = false;
  return texts_[position].number_of(text == own_feature ? std::string_view{} : text, beyond);
}

/// Those that are not kept are all one.
uint32_t group_builder::group(const group_values& values) {
  if (!query_.keep && counted_as_.size() >= limits_.groups && !groups_.contains(values)) {
    group_values rest;
    for (size_t i = 0; i < query_.by.size(); ++i)
      rest.numbers[i] = number(i, other_text);
    auto others = groups_.number_of(rest);
    if (others == counted_as_.size())
      counted_as_.push_back(others);
    return others;
  }
  auto made = groups_.number_of(values);
  if (made < counted_as_.size())
    return counted_as_[made];
  counted_as_.push_back(made);
  if (!query_.keep || made == others_)
    return made;
  group_key key;
  group_values rest;
  for (size_t i = 0; i < query_.by.size(); ++i) {
    key.push_back(texts_[i].text(values.numbers[i]));
    rest.numbers[i] = number(i, other_text);
  }
  if (query_.keep->contains(key))
    return made;
  if (!others_) {
    others_ = groups_.number_of(rest);
    if (*others_ == counted_as_.size())
      counted_as_.push_back(*others_);
  }
  return counted_as_[made] = *others_;
}

template <class Row>
std::optional<uint32_t> group_builder::group_of(Row& row) {
  for (auto kind : filtered_)
    if (!row.is_wanted(kind))
      return {};
  group_values values;
  for (size_t i = 0; i < query_.by.size(); ++i)
    values.numbers[i] = row.number(i);
  return group(values);
}

/// Good until the builder begins again.
group_builder::cell& group_builder::cell_of(int32_t bucket, uint32_t group) {
  auto key = uint64_t{static_cast<uint32_t>(bucket)} << 32 | group;
  if (last_ && last_key_ == key)
    return *last_;
  auto [at, is_new] = numbers_.try_emplace(key, static_cast<uint32_t>(cells_.size()));
  if (is_new)
    cells_.emplace_back();
  last_key_ = key;
  last_ = &cells_[at->second];
  return *last_;
}

void group_builder::add_person(distinct_count& to, uint64_t person) {
  if (is_full())
    return;
  const auto before = to.held();
  to.add(person);
  held_ = held_ - before + to.held();
  if (held_ > limits_.persons && !is_full())
    halve_largest_set();
}

void group_builder::halve_largest_set() {
  distinct_count* largest = nullptr;
  for (auto& cell : cells_)
    for (auto* set : {&cell.users, &cell.addresses})
      if (!largest || set->held() > largest->held())
        largest = set;
  const auto before = largest->held();
  largest->halve();
  held_ = held_ - before + largest->held();
}

// -- buckets --------------------------------------------------------------------------------------

slot_range group_builder::range() const {
  if (query_.buckets.empty())
    return {};
  return {query_.buckets.front().begin, query_.buckets.back().end};
}

int32_t group_builder::bucket_of(int64_t slot) const {
  auto after =
    std::upper_bound(query_.buckets.begin(), query_.buckets.end(), slot,
                     [](int64_t at, const slot_range& bucket) { return at < bucket.end; });
  return after != query_.buckets.end() && after->contains(slot)
           ? static_cast<int32_t>(after - query_.buckets.begin())
           : -1;
}

group_builder::day_buckets group_builder::buckets_of(int64_t day) const {
  day_buckets out;
  const auto first = day * slots_per_day;
  for (int64_t slot = 0; slot < slots_per_day; ++slot) {
    auto& bucket = out.of_slot[static_cast<size_t>(slot)];
    auto before = slot > 0 ? out.of_slot[static_cast<size_t>(slot - 1)] : -1;
    bool same = before >= 0 && query_.buckets[static_cast<size_t>(before)].contains(first + slot);
    bucket = same ? before : bucket_of(first + slot);
    out.none &= bucket < 0;
  }
  out.whole = !out.none && std::all_of(out.of_slot.begin(), out.of_slot.end(), [&](int32_t bucket) {
    return bucket == out.of_slot.front();
  });
  return out;
}

/// Then only one table tells how many events there were.
bool group_builder::by_instance() const {
  return (query_.used() & set_of(attribute::instance)) != 0;
}

/// Own requests have no users.
bool group_builder::needs_groups_of_users(const day_buckets& slots) const {
  return query_.used() != 0 || !slots.whole || query_.own;
}

std::optional<cube_parts> group_builder::parts_of(int64_t day) const {
  const auto slots = buckets_of(day);
  if (slots.none || is_full())
    return {};
  cube_parts parts = 0;
  if (query_.wants(measure::events) && by_instance())
    parts = parts | cube_part::instances;
  else if (query_.wants(measure::events) && !slots.whole)
    parts = parts | cube_part::counts_by_slot;
  if (query_.wants(measure::durations))
    parts = parts | (slots.whole ? cube_part::latency_by_day : cube_part::latency_by_slot);
  if (query_.wants(measure::users))
    parts = parts | (needs_groups_of_users(slots) ? cube_part::users : cube_part::persons);
  if (query_.wants(measure::addresses))
    parts = parts | cube_part::addresses;
  return parts;
}

// -- adding up ------------------------------------------------------------------------------------

void group_builder::add(const cube& part) {
  const auto slots = buckets_of(part.day);
  if (slots.none || is_full())
    return;
  cube_row row{*this, part};
  if (query_.wants(measure::events)) {
    if (by_instance())
      add_instances(part, slots, row);
    else
      add_counts(part, slots, row);
  }
  if (query_.wants(measure::durations))
    add_durations(part, slots, row);
  if (query_.wants(measure::users))
    add_users(part, slots, row);
  if (query_.wants(measure::addresses))
    add_addresses(part, slots);
}

void group_builder::add_counts(const cube& part, const day_buckets& slots, cube_row& row) {
  std::vector<std::optional<uint32_t>> groups(part.combinations.size());
  for (size_t i = 0; i < groups.size(); ++i) {
    const auto& key = part.combinations[i];
    row.texts = {key.feature, key.action, key.route, key.method};
    row.status = key.status;
    groups[i] = group_of(row);
    if (slots.whole && groups[i] && part.day_sums[i].n > 0)
      cell_of(slots.of_slot[0], *groups[i]).counts.add(part.day_sums[i], key.status);
  }
  if (slots.whole)
    return;
  for (const auto& sums : part.cells)
    if (auto bucket = slots.of_slot[sums.slot]; bucket >= 0 && groups[sums.combination])
      cell_of(bucket, *groups[sums.combination])
        .counts.add(sums.sums, part.combinations[sums.combination].status);
}

void group_builder::add_instances(const cube& part, const day_buckets& slots, cube_row& row) {
  for (const auto& counted : part.instances) {
    auto bucket = slots.of_slot[counted.slot];
    if (bucket < 0)
      continue;
    row.texts[static_cast<size_t>(dimension::feature)] = counted.feature;
    row.texts[static_cast<size_t>(dimension::instance)] = counted.instance;
    if (auto group = group_of(row))
      cell_of(bucket, *group).counts.n += counted.n;
  }
}

void group_builder::add_durations(const cube& part, const day_buckets& slots, cube_row& row) {
  std::vector<std::optional<uint32_t>> groups;
  for (const auto& key : part.timed_routes) {
    row.texts = {key.feature, 0, key.route, key.method};
    groups.push_back(group_of(row));
  }
  if (slots.whole) {
    for (const auto& counted : part.day_buckets)
      if (groups[counted.timed_route])
        cell_of(slots.of_slot[0], *groups[counted.timed_route])
          .counts.durations.add(counted.bucket, counted.n);
    return;
  }
  for (const auto& counted : part.slot_buckets)
    if (auto bucket = slots.of_slot[counted.slot]; bucket >= 0 && groups[counted.timed_route])
      cell_of(bucket, *groups[counted.timed_route]).counts.durations.add(counted.bucket, counted.n);
}

namespace {

/// Calls `visit` with each bucket in which somebody was active, once for each run of its slots.
template <class Visit>
void each_bucket(const std::array<int32_t, slots_per_day>& of_slot, const day_slots& active,
                 Visit visit) {
  int32_t last = -1;
  auto visit_slots = [&](uint64_t bits, size_t first) {
    for (; bits != 0; bits &= bits - 1) {
      auto bucket = of_slot[first + static_cast<size_t>(std::countr_zero(bits))];
      if (bucket >= 0 && bucket != last)
        visit(bucket);
      last = bucket;
    }
  };
  visit_slots(active.low, 0);
  visit_slots(active.high, 64);
}

} // namespace

void group_builder::add_users(const cube& part, const day_buckets& slots, cube_row& row) {
  if (!needs_groups_of_users(slots)) {
    if (!part.persons.empty())
      for (auto& users = cell_of(slots.of_slot[0], group({})).users; auto person : part.persons)
        add_person(users, person);
    return;
  }
  std::vector<std::optional<uint32_t>> groups;
  for (const auto& key : part.user_groups) {
    row.texts[static_cast<size_t>(dimension::feature)] = key.feature;
    row.texts[static_cast<size_t>(dimension::user_kind)] = key.kind;
    groups.push_back(group_of(row));
  }
  for (const auto& user : part.users)
    if (const auto& group = groups[user.group])
      each_bucket(slots.of_slot, user.active, [&](int32_t bucket) {
        add_person(cell_of(bucket, *group).users, part.persons[user.person]);
      });
}

void group_builder::add_addresses(const cube& part, const day_buckets& slots) {
  for (const auto& address : part.addresses)
    each_bucket(slots.of_slot, address.active, [&](int32_t bucket) {
      add_person(cell_of(bucket, group({})).addresses, address.hash);
    });
}

void group_builder::add(const counted_event& e) {
  const auto bucket = bucket_of(slot_of(e.time_us));
  if (bucket < 0 || is_full())
    return;
  if (query_.wants(measure::addresses) && e.address != 0)
    add_person(cell_of(bucket, group({})).addresses, e.address);
  if (by_instance() && e.instance.empty())
    return;
  event_row row{*this, e};
  auto group = group_of(row);
  if (!group)
    return;
  auto& to = cell_of(bucket, *group);
  const bool timed = e.duration_us >= 0;
  if (query_.wants(measure::events) && by_instance())
    ++to.counts.n;
  else if (query_.wants(measure::events))
    to.counts.add({.n = 1,
                   .timed = timed ? 1U : 0U,
                   .sum_us = timed ? static_cast<uint128>(e.duration_us) : 0,
                   .min_us = e.duration_us,
                   .max_us = e.duration_us},
                  e.status);
  if (query_.wants(measure::durations) && timed)
    to.counts.durations.add(static_cast<uint16_t>(latency_bucket(e.duration_us)), 1);
  if (query_.wants(measure::users) && e.user != 0 && !e.of_ourselves())
    add_person(to.users, e.user);
}

grouped_counts group_builder::take() {
  grouped_counts out(query_.buckets.size());
  const auto keys = groups_.take();
  for (const auto& [key, number] : numbers_) {
    auto& counted = cells_[number];
    counted.counts.users = counted.users.count();
    counted.counts.addresses = counted.addresses.count();
    if (counted.counts == group_counts{})
      continue;
    group_key values;
    for (size_t i = 0; i < query_.by.size(); ++i)
      values.push_back(texts_[i].text(keys[key & unknown].numbers[i]));
    out[key >> 32].emplace(std::move(values), std::move(counted.counts));
  }
  return out;
}

} // namespace phi::statistics
