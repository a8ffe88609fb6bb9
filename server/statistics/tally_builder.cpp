#include "server/statistics/tally_builder.hpp"

#include <limits>

namespace phi::statistics {
namespace {

/// From here on a status is an error's.
constexpr int32_t first_error = 400;

tally::sums tallied(const count_sums& from, int32_t status) {
  return {.n = from.n,
          .errors = status >= first_error ? from.n : 0,
          .timed = from.timed,
          .sum_us = from.sum_us,
          .min_us = from.timed > 0 ? from.min_us : 0,
          .max_us = from.timed > 0 ? from.max_us : 0};
}

/// The slots of a UTC day that are in a range.
day_slots slots_of_day(const slot_range& range, int64_t day) {
  return slots_between(range.begin - day * slots_per_day, range.end - day * slots_per_day);
}

} // namespace

tally tally_source::count(const tally_query& query) {
  tally_builder builder{query};
  read(builder);
  return builder.take();
}

tally_builder::tally_builder(tally_query query, const tally_limits& limits)
  : query_(std::move(query)),
    limits_(limits) {
  if (query_.own) // they have no users
    query_.wanted.users = query_.wanted.users_by_kind = query_.wanted.users_by_feature = false;
  for (size_t i = 0; i < dimensions; ++i)
    texts_.emplace_back(limits.texts);
}

std::optional<cube_parts> tally_builder::parts_of(int64_t day) const {
  if (query_.range.empty() || query_.range.begin >= (day + 1) * slots_per_day
      || query_.range.end <= day * slots_per_day)
    return {};
  bool whole = query_.range.contains_day(day);
  const auto& wanted = query_.wanted;
  cube_parts parts = 0;
  if (!whole)
    parts = parts | cube_part::counts_by_slot;
  if (wanted.latency)
    parts = parts | (whole ? cube_part::latency_by_day : cube_part::latency_by_slot);
  if (wanted.instances)
    parts = parts | cube_part::instances;
  if (needs_groups(day))
    parts = parts | cube_part::users;
  else if (wanted.users)
    parts = parts | cube_part::persons;
  if (wanted.addresses)
    parts = parts | cube_part::addresses;
  return parts;
}

void tally_builder::add(const cube& part) {
  if (!parts_of(part.day))
    return;
  add_counts(part);
  if (query_.wanted.latency)
    add_latencies(part);
  if (query_.wanted.instances)
    add_instances(part);
  if (needs_groups(part.day))
    add_users(part);
  else if (query_.wanted.users)
    for (auto person : part.persons)
      users_.add(person);
  if (query_.wanted.addresses)
    add_addresses(part);
}

void tally_builder::add_counts(const cube& part) {
  const auto in_range = slots_of_day(query_.range, part.day);
  std::vector<count_sums> by_slot;
  const auto* sums = &part.day_sums;
  if (!query_.range.contains_day(part.day)) {
    by_slot.resize(part.combinations.size());
    for (const auto& cell : part.cells)
      if (in_range.test(cell.slot))
        by_slot[cell.combination].add(cell.sums);
    sums = &by_slot;
  }
  std::array<std::vector<uint32_t>, dimensions> numbers; // of its texts, those that are used
  auto number_of = [&](dimension kind, uint32_t text) {
    constexpr auto not_yet = std::numeric_limits<uint32_t>::max();
    auto& known = numbers[static_cast<size_t>(kind)];
    if (known.empty())
      known.assign(part.texts[static_cast<size_t>(kind)].size(), not_yet);
    if (known[text] == not_yet)
      known[text] = number(kind, feature_of(part.text(kind, text)));
    return known[text];
  };
  for (size_t i = 0; i < part.combinations.size(); ++i) {
    const auto& key = part.combinations[i];
    if ((*sums)[i].n == 0 || !is_wanted(part.text(dimension::feature, key.feature)))
      continue;
    sums_of({number_of(dimension::feature, key.feature), number_of(dimension::action, key.action),
             number_of(dimension::route, key.route), number_of(dimension::method, key.method), 0})
      .add(tallied((*sums)[i], key.status));
    if (query_.wanted.statuses && key.status != 0)
      made_.statuses[key.status] += (*sums)[i].n;
  }
  for (const auto& span : part.spans)
    if (in_range.test(span.slot))
      if (is_wanted(part.text(dimension::feature, span.feature)))
        add_span(number_of(dimension::feature, span.feature), span.first_us, span.last_us);
}

uint32_t tally_builder::number(dimension kind, std::string_view text) {
  bool beyond = false;
  return texts_[static_cast<size_t>(kind)].number_of(text, beyond);
}

/// Good until it is asked for another.
tally::sums& tally_builder::sums_of(combination key) {
  if (sums_.size() >= limits_.combinations && !combinations_.contains(key))
    key = {.feature = key.feature,
           .action = number(dimension::action, other_text),
           .route = number(dimension::route, other_text),
           .method = number(dimension::method, other_text)};
  auto number = combinations_.number_of(key);
  if (number == sums_.size())
    sums_.emplace_back();
  return sums_[number];
}

void tally_builder::add_span(uint32_t feature, int64_t first_us, int64_t last_us) {
  if (spans_.size() <= feature)
    spans_.resize(feature + 1);
  auto& span = spans_[feature];
  if (!span)
    span = tally::span{first_us, last_us};
  span->first_us = std::min(span->first_us, first_us);
  span->last_us = std::max(span->last_us, last_us);
}

void tally_builder::add_latencies(const cube& part) {
  auto wanted = [&](uint32_t timed) {
    return is_wanted(part.text(dimension::feature, part.timed_routes[timed].feature));
  };
  if (query_.range.contains_day(part.day)) {
    for (const auto& row : part.day_buckets)
      if (wanted(row.timed_route))
        made_.latencies[row.bucket] += row.n;
    return;
  }
  const auto in_range = slots_of_day(query_.range, part.day);
  for (const auto& row : part.slot_buckets)
    if (in_range.test(row.slot) && wanted(row.timed_route))
      made_.latencies[row.bucket] += row.n;
}

void tally_builder::add_instances(const cube& part) {
  const auto in_range = slots_of_day(query_.range, part.day);
  for (const auto& row : part.instances)
    if (in_range.test(row.slot) && is_wanted(part.text(dimension::feature, row.feature)))
      add_instance(part.text(dimension::instance, row.instance), row.n);
}

void tally_builder::add_instance(std::string_view instance, uint64_t events) {
  auto at = number(dimension::instance, instance);
  if (instances_.size() <= at)
    instances_.resize(at + 1);
  instances_[at] += events;
}

/// Good until it is asked for another.
distinct_count& tally_builder::group_of(groups& all, uint32_t text) {
  if (all.size() <= text)
    all.resize(text + 1);
  return all[text];
}

void tally_builder::add_person(distinct_count& group, uint64_t person) {
  const auto before = group.held();
  group.add(person);
  grouped_persons_ = grouped_persons_ - before + group.held();
  while (grouped_persons_ > limits_.grouped_persons)
    halve_largest_group();
}

void tally_builder::halve_largest_group() {
  distinct_count* largest = nullptr;
  for (auto* groups : {&users_by_kind_, &users_by_feature_})
    for (auto& group : *groups)
      if (!largest || group.held() > largest->held())
        largest = &group;
  const auto before = largest->held();
  largest->halve();
  grouped_persons_ = grouped_persons_ - before + largest->held();
}

/// Whether it must be known of users in which group and when they were there.
bool tally_builder::needs_groups(int64_t day) const {
  const auto& wanted = query_.wanted;
  return wanted.users_by_kind || wanted.users_by_feature
         || (wanted.users && (query_.feature || !query_.range.contains_day(day)));
}

void tally_builder::add_users(const cube& part) {
  const auto in_range = slots_of_day(query_.range, part.day);
  std::vector<bool> counted(part.persons.size());
  const bool by_feature = query_.wanted.users_by_feature;
  uint32_t group = UINT32_MAX;
  bool wanted = false;
  distinct_count* of_feature = nullptr; // no group is made while they are used
  distinct_count* of_kind = nullptr;
  for (const auto& user : part.users) {
    if (user.group != group) {
      group = user.group;
      const auto& feature = part.text(dimension::feature, part.user_groups[group].feature);
      wanted = is_wanted(feature);
      if (wanted && by_feature)
        of_feature = &group_of(users_by_feature_, number(dimension::feature, feature));
      if (wanted && query_.wanted.users_by_kind)
        of_kind = &group_of(users_by_kind_,
                            number(dimension::user_kind,
                                   part.text(dimension::user_kind, part.user_groups[group].kind)));
    }
    if (!wanted || !user.active.overlaps(in_range))
      continue;
    counted[user.person] = true;
    if (of_feature)
      add_person(*of_feature, part.persons[user.person]);
    if (of_kind)
      add_person(*of_kind, part.persons[user.person]);
  }
  for (size_t i = 0; i < counted.size() && query_.wanted.users; ++i)
    if (counted[i])
      users_.add(part.persons[i]);
}

void tally_builder::add_addresses(const cube& part) {
  const auto in_range = slots_of_day(query_.range, part.day);
  for (const auto& address : part.addresses)
    if (address.active.overlaps(in_range))
      addresses_.add(address.hash);
}

void tally_builder::add(const counted_event& e) {
  if (!query_.range.contains(slot_of(e.time_us)))
    return;
  const auto& wanted = query_.wanted;
  if (wanted.addresses && e.address != 0)
    addresses_.add(e.address);
  if (!is_wanted(e.of_ourselves() ? own_feature : e.feature))
    return;
  const auto feature =
    number(dimension::feature, e.of_ourselves() ? std::string_view{} : e.feature);
  add_span(feature, e.time_us, e.time_us);
  bool timed = e.duration_us >= 0;
  sums_of({feature, number(dimension::action, e.action), number(dimension::route, e.route),
           number(dimension::method, e.method), 0})
    .add({.n = 1,
          .errors = e.status >= first_error ? 1U : 0U,
          .timed = timed ? 1U : 0U,
          .sum_us = timed ? static_cast<uint128>(e.duration_us) : 0,
          .min_us = timed ? e.duration_us : 0,
          .max_us = timed ? e.duration_us : 0});
  if (wanted.statuses && e.status != 0)
    ++made_.statuses[e.status];
  if (wanted.instances && !e.instance.empty())
    add_instance(e.instance, 1);
  if (wanted.latency && timed)
    ++made_.latencies[latency_bucket(e.duration_us)];
  if (e.user != 0 && !e.of_ourselves())
    add_user(e.feature, e.user_kind, e.user);
}

void tally_builder::add_user(std::string_view feature, std::string_view kind, uint64_t person) {
  if (query_.wanted.users_by_feature)
    add_person(group_of(users_by_feature_, number(dimension::feature, feature)), person);
  if (query_.wanted.users_by_kind)
    add_person(group_of(users_by_kind_, number(dimension::user_kind, kind)), person);
  if (query_.wanted.users)
    users_.add(person);
}

tally tally_builder::take() {
  auto numbers = [&](const groups& all, dimension kind, std::map<std::string, uint64_t>& into) {
    for (uint32_t i = 0; i < all.size(); ++i)
      if (all[i].count() > 0)
        into[texts_[static_cast<size_t>(kind)].text(i)] = all[i].count();
  };
  numbers(users_by_kind_, dimension::user_kind, made_.users_by_kind);
  numbers(users_by_feature_, dimension::feature, made_.users_by_feature);
  for (uint32_t i = 0; i < instances_.size(); ++i)
    if (instances_[i] > 0)
      made_.instances[texts_[static_cast<size_t>(dimension::instance)].text(i)] = instances_[i];
  const auto keys = combinations_.take();
  for (size_t i = 0; i < keys.size(); ++i)
    made_.counts[{texts_[0].text(keys[i].feature), texts_[1].text(keys[i].action),
                  texts_[2].text(keys[i].route), texts_[3].text(keys[i].method)}] = sums_[i];
  for (uint32_t i = 0; i < spans_.size(); ++i)
    if (spans_[i])
      made_.spans[texts_[0].text(i)] = *spans_[i];
  made_.users = users_.count();
  made_.addresses = addresses_.count();
  return std::move(made_);
}

} // namespace phi::statistics
