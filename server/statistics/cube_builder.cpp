#include "server/statistics/cube_builder.hpp"

#include "server/statistics/latency.hpp"

#include <tuple>

namespace phi::statistics {
namespace {

/// So many rows are collected before they are added up.
constexpr size_t many_rows = 1 << 16;

auto key_of(const cube::cell& row) {
  return std::tuple{row.combination, row.slot};
}
auto key_of(const cube::span& row) {
  return std::tuple{row.feature, row.slot};
}
auto key_of(const cube::slot_bucket& row) {
  return std::tuple{row.timed_route, row.slot, row.bucket};
}
auto key_of(const cube::day_bucket& row) {
  return std::tuple{row.timed_route, row.bucket};
}
auto key_of(const cube::instance_count& row) {
  return std::tuple{row.feature, row.instance, row.slot};
}
auto key_of(const cube::address& row) {
  return row.hash;
}

void join(cube::cell& into, const cube::cell& row) {
  into.sums.add(row.sums);
}
void join(cube::span& into, const cube::span& row) {
  into.first_us = std::min(into.first_us, row.first_us);
  into.last_us = std::max(into.last_us, row.last_us);
}
void join(cube::slot_bucket& into, const cube::slot_bucket& row) {
  into.n += row.n;
}
void join(cube::day_bucket& into, const cube::day_bucket& row) {
  into.n += row.n;
}
void join(cube::instance_count& into, const cube::instance_count& row) {
  into.n += row.n;
}
void join(cube::address& into, const cube::address& row) {
  into.active.add(row.active);
}

/// Sorts rows by their keys; those of one key become one.
template <class Row, class Key, class Join>
void add_up_by(std::vector<Row>& rows, Key key, Join join_rows) {
  std::sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) { return key(a) < key(b); });
  size_t kept = 0;
  for (size_t i = 0; i < rows.size(); ++i)
    if (kept > 0 && key(rows[kept - 1]) == key(rows[i]))
      join_rows(rows[kept - 1], rows[i]);
    else
      rows[kept++] = rows[i];
  rows.resize(kept);
}

template <class Row>
void add_up_rows(std::vector<Row>& rows) {
  add_up_by(
    rows, [](const Row& row) { return key_of(row); },
    [](Row& into, const Row& row) { join(into, row); });
}

size_t mixed(size_t seed, uint64_t value) {
  auto x = (seed ^ value) * 0x9e3779b97f4a7c15ULL;
  return static_cast<size_t>(x ^ x >> 32);
}

} // namespace

template <>
size_t key_numbers<combination>::hash::operator()(const combination& key) const noexcept {
  auto out = mixed(key.feature, key.action);
  out = mixed(out, key.route);
  return mixed(out, uint64_t{key.method} << 32 | static_cast<uint32_t>(key.status));
}
template <>
size_t key_numbers<timed_route>::hash::operator()(const timed_route& key) const noexcept {
  return mixed(mixed(key.feature, key.route), key.method);
}
template <>
size_t key_numbers<user_group>::hash::operator()(const user_group& key) const noexcept {
  return mixed(key.feature, key.kind);
}

uint32_t text_numbers::number_of(std::string_view text, bool& beyond) {
  if (auto found = numbers_.find(text); found != numbers_.end())
    return found->second;
  // "", `other_text` and our own requests take no value's place.
  if (texts_.size() < cap_ + 1 || text.empty() || text == other_text || text == own_feature)
    return add(text);
  beyond = true;
  auto other = numbers_.find(other_text);
  return other != numbers_.end() ? other->second : add(other_text);
}

uint32_t text_numbers::add(std::string_view text) {
  auto number = static_cast<uint32_t>(texts_.size());
  numbers_.emplace(texts_.emplace_back(text), number);
  return number;
}

std::vector<std::string> text_numbers::take() {
  numbers_.clear();
  std::vector<std::string> out(std::make_move_iterator(texts_.begin()),
                               std::make_move_iterator(texts_.end()));
  texts_.clear();
  return out;
}

cube_builder::cube_builder(int32_t day, size_t cap) {
  made_.day = day;
  for (size_t i = 0; i < dimensions; ++i)
    texts_.emplace_back(cap);
}

uint32_t cube_builder::number(dimension kind, std::string_view text, bool& beyond) {
  return texts_[static_cast<size_t>(kind)].number_of(text, beyond);
}

void cube_builder::add(const counted_event& e) {
  auto slot = static_cast<uint8_t>(slot_of(e.time_us) - int64_t{made_.day} * slots_per_day);
  if (e.address != 0) {
    made_.addresses.push_back({e.address, {}});
    made_.addresses.back().active.set(slot);
  }
  bool beyond = false;
  const auto feature = e.of_ourselves() ? own_feature : e.feature;
  combination key{.feature = number(dimension::feature, feature, beyond),
                  .action = number(dimension::action, e.action, beyond),
                  .route = number(dimension::route, e.route, beyond),
                  .method = number(dimension::method, e.method, beyond),
                  .status = e.status};
  count_sums sums{.n = 1};
  if (e.duration_us >= 0) {
    sums = {.n = 1,
            .timed = 1,
            .sum_us = static_cast<uint128>(e.duration_us),
            .min_us = e.duration_us,
            .max_us = e.duration_us};
    made_.slot_buckets.push_back(
      {.timed_route = timed_routes_.number_of({key.feature, key.route, key.method}),
       .slot = slot,
       .bucket = static_cast<uint16_t>(latency_bucket(e.duration_us)),
       .n = 1});
  }
  made_.cells.push_back({combinations_.number_of(key), slot, sums});
  made_.spans.push_back({key.feature, slot, e.time_us, e.time_us});
  if (!e.instance.empty())
    made_.instances.push_back(
      {key.feature, number(dimension::instance, e.instance, beyond), slot, 1});
  if (e.user != 0 && !e.of_ourselves()) {
    auto kind = number(dimension::user_kind, e.user_kind, beyond);
    users_.push_back({user_groups_.number_of({key.feature, kind}), e.user, {}});
    users_.back().active.set(slot);
  }
  made_.beyond_cap += beyond && !e.of_ourselves() ? 1 : 0;
  add_up_when_many();
}

void cube_builder::add(const cube& other) {
  std::array<std::vector<uint32_t>, dimensions> texts;
  std::array<std::vector<uint8_t>, dimensions> lost; // values that have no room here
  for (size_t i = 0; i < dimensions; ++i)
    for (const auto& text : other.texts[i]) {
      bool beyond = false;
      texts[i].push_back(texts_[i].number_of(text, beyond));
      lost[i].push_back(beyond ? 1 : 0);
    }
  for (size_t i = 0; i < other.combinations.size(); ++i) {
    const auto& key = other.combinations[i];
    auto gone = [&](dimension kind, uint32_t text) {
      return lost[static_cast<size_t>(kind)][text];
    };
    if (other.is_own(key.feature))
      continue;
    if (gone(dimension::feature, key.feature) || gone(dimension::action, key.action)
        || gone(dimension::route, key.route) || gone(dimension::method, key.method))
      made_.beyond_cap += other.day_sums[i].n;
  }
  made_.beyond_cap += other.beyond_cap;
  add_counts(other, texts);
  add_people(other, texts);
  add_up_when_many();
}

void cube_builder::add_counts(const cube& other,
                              const std::array<std::vector<uint32_t>, dimensions>& texts) {
  auto text = [&](dimension kind, uint32_t number) {
    return texts[static_cast<size_t>(kind)][number];
  };
  std::vector<uint32_t> combinations;
  for (const auto& key : other.combinations)
    combinations.push_back(combinations_.number_of(
      {text(dimension::feature, key.feature), text(dimension::action, key.action),
       text(dimension::route, key.route), text(dimension::method, key.method), key.status}));
  for (const auto& row : other.cells)
    made_.cells.push_back({combinations[row.combination], row.slot, row.sums});
  for (auto row : other.spans) {
    row.feature = text(dimension::feature, row.feature);
    made_.spans.push_back(row);
  }
  std::vector<uint32_t> timed_routes;
  for (const auto& key : other.timed_routes)
    timed_routes.push_back(timed_routes_.number_of({text(dimension::feature, key.feature),
                                                    text(dimension::route, key.route),
                                                    text(dimension::method, key.method)}));
  for (auto row : other.slot_buckets) {
    row.timed_route = timed_routes[row.timed_route];
    made_.slot_buckets.push_back(row);
  }
  for (auto row : other.instances) {
    row.feature = text(dimension::feature, row.feature);
    row.instance = text(dimension::instance, row.instance);
    made_.instances.push_back(row);
  }
}

void cube_builder::add_people(const cube& other,
                              const std::array<std::vector<uint32_t>, dimensions>& texts) {
  std::vector<uint32_t> groups;
  for (const auto& group : other.user_groups)
    groups.push_back(
      user_groups_.number_of({texts[static_cast<size_t>(dimension::feature)][group.feature],
                              texts[static_cast<size_t>(dimension::user_kind)][group.kind]}));
  for (const auto& row : other.users)
    users_.push_back({groups[row.group], other.persons[row.person], row.active});
  made_.addresses.insert(made_.addresses.end(), other.addresses.begin(), other.addresses.end());
}

void cube_builder::add_up_when_many() {
  auto rows = made_.cells.size() + made_.slot_buckets.size() + users_.size()
              + made_.addresses.size() + made_.spans.size() + made_.instances.size();
  if (rows < 2 * rows_at_last_sum_ + many_rows)
    return;
  add_up();
  rows_at_last_sum_ = made_.cells.size() + made_.slot_buckets.size() + users_.size()
                      + made_.addresses.size() + made_.spans.size() + made_.instances.size();
}

void cube_builder::add_up() {
  add_up_rows(made_.cells);
  add_up_rows(made_.spans);
  add_up_rows(made_.slot_buckets);
  add_up_rows(made_.instances);
  add_up_rows(made_.addresses);
  add_up_by(
    users_,
    [](const person_row& row) {
      return std::tuple{row.group, row.person};
    },
    [](person_row& into, const person_row& row) { into.active.add(row.active); });
}

cube cube_builder::take() {
  add_up();
  for (size_t i = 0; i < dimensions; ++i)
    made_.texts[i] = texts_[i].take();
  made_.combinations = combinations_.take();
  made_.timed_routes = timed_routes_.take();
  made_.user_groups = user_groups_.take();
  sum_up_days();
  number_persons();
  return std::move(made_);
}

void cube_builder::sum_up_days() {
  made_.day_sums.resize(made_.combinations.size());
  for (const auto& cell : made_.cells)
    made_.day_sums[cell.combination].add(cell.sums);
  for (const auto& row : made_.slot_buckets)
    made_.day_buckets.push_back({row.timed_route, row.bucket, row.n});
  add_up_rows(made_.day_buckets);
}

void cube_builder::number_persons() {
  for (const auto& user : users_)
    made_.persons.push_back(user.person);
  std::sort(made_.persons.begin(), made_.persons.end());
  made_.persons.erase(std::unique(made_.persons.begin(), made_.persons.end()), made_.persons.end());
  for (const auto& user : users_) {
    auto at = std::lower_bound(made_.persons.begin(), made_.persons.end(), user.person);
    made_.users.push_back(
      {user.group, static_cast<uint32_t>(at - made_.persons.begin()), user.active});
  }
  users_.clear();
}

cube merged(const std::vector<cube>& parts, size_t cap) {
  cube_builder builder{parts.front().day, cap};
  for (const auto& part : parts)
    builder.add(part);
  return builder.take();
}

size_t cube::footprint() const {
  size_t out = sizeof(cube) + combinations.size() * sizeof(combination)
               + day_sums.size() * sizeof(count_sums) + spans.size() * sizeof(span)
               + cells.size() * sizeof(cell) + timed_routes.size() * sizeof(timed_route)
               + day_buckets.size() * sizeof(day_bucket) + slot_buckets.size() * sizeof(slot_bucket)
               + instances.size() * sizeof(instance_count) + user_groups.size() * sizeof(user_group)
               + persons.size() * sizeof(uint64_t) + users.size() * sizeof(user)
               + addresses.size() * sizeof(address);
  for (const auto& of_dimension : texts)
    for (const auto& text : of_dimension)
      out += sizeof text + (text.size() < sizeof text / 2 ? 0 : text.size() + 1);
  return out;
}

} // namespace phi::statistics
