#include "server/statistics/cube_format.hpp"

#include "server/statistics/cube_head.hpp"
#include "server/statistics/latency.hpp"

#include <cstdlib>
#include <limits>
#include <utility>

namespace phi::statistics {
namespace {

/// With the service's own requests; cubes of version 1 lack them, and are alike otherwise.
constexpr uint8_t version = 2;
constexpr uint8_t first_version = 1;

/// There is no later one in 64 bits of microseconds.
constexpr int64_t last_day = std::numeric_limits<int64_t>::max() / (slot_us * slots_per_day);

constexpr size_t counts_section = 0; ///< is always read
constexpr size_t sections = 8;

/// A column of sorted numbers is written as the differences of each key: 0 goes on with the last
/// one.
class ascending {
public:
  uint64_t difference(uint64_t value) { return value - std::exchange(last_, value); }
  uint64_t after(uint64_t difference) { return last_ += difference; }

private:
  uint64_t last_ = 0;
};

// -- sums -----------------------------------------------------------------------------------------

void put(packed_writer& to, const count_sums& sums) {
  bool all_timed = sums.timed == sums.n;
  to.put(sums.n * 2 + (all_timed ? 1 : 0));
  if (!all_timed)
    to.put(sums.timed);
  if (sums.timed == 0)
    return;
  to.put(static_cast<uint64_t>(sums.min_us));
  if (sums.timed == 1)
    return;
  to.put(static_cast<uint64_t>(sums.max_us) - static_cast<uint64_t>(sums.min_us));
  to.put_wide(sums.sum_us - uint128{sums.timed} * static_cast<uint64_t>(sums.min_us));
}

count_sums get_sums(packed_reader& from) {
  count_sums sums;
  auto n = from.get();
  sums.n = n / 2;
  sums.timed = n % 2 == 1 ? sums.n : from.get_up_to(sums.n);
  if (sums.timed == 0)
    return sums;
  constexpr uint64_t longest = std::numeric_limits<int64_t>::max();
  auto min = from.get_up_to(longest);
  auto max = sums.timed > 1 ? min + from.get_up_to(longest - min) : min;
  sums.min_us = static_cast<int64_t>(min);
  sums.max_us = static_cast<int64_t>(max);
  sums.sum_us = uint128{sums.timed} * min + (sums.timed > 1 ? from.get_wide() : 0);
  if (sums.sum_us > uint128{sums.timed} * max)
    packed_reader::fail();
  return sums;
}

// -- slots of a day -------------------------------------------------------------------------------

constexpr uint8_t all_slots_follow = 255;
constexpr int most_single_slots = 12;

/// One slot is a byte; a few are their number and a byte each; many are a bit each.
void put(packed_writer& to, const day_slots& active) {
  auto count = active.count();
  if (count > most_single_slots) {
    to.put_byte(all_slots_follow);
    to.put_fixed(active.low);
    to.put_fixed(static_cast<uint32_t>(active.high));
    return;
  }
  if (count != 1)
    to.put_byte(static_cast<uint8_t>(slots_per_day + count));
  for (int64_t slot = 0; slot < slots_per_day; ++slot)
    if (active.test(slot))
      to.put_byte(static_cast<uint8_t>(slot));
}

day_slots get_slots(packed_reader& from) {
  day_slots active;
  auto first = from.get_byte();
  if (first == all_slots_follow) {
    active.low = from.get_fixed<uint64_t>();
    active.high = from.get_fixed<uint32_t>();
    return active;
  }
  if (first < slots_per_day) {
    active.set(first);
    return active;
  }
  int count = first - static_cast<int>(slots_per_day);
  if (count > most_single_slots)
    packed_reader::fail();
  for (; count > 0; --count) {
    auto slot = from.get_byte();
    if (slot >= slots_per_day)
      packed_reader::fail();
    active.set(slot);
  }
  return active;
}

uint8_t get_slot(packed_reader& from, ascending& slot) {
  auto out = slot.after(from.get_up_to(slots_per_day));
  return out < slots_per_day ? static_cast<uint8_t>(out)
                             : static_cast<uint8_t>(packed_reader::fail());
}

// -- sections -------------------------------------------------------------------------------------

/// A number of a table with `size` rows.
uint32_t get_number(packed_reader& from, size_t size) {
  if (size == 0)
    packed_reader::fail();
  return static_cast<uint32_t>(from.get_up_to(size - 1));
}

const std::vector<std::string>& texts_of(const cube& in, dimension kind) {
  return in.texts[static_cast<size_t>(kind)];
}

int64_t start_of_slot(const cube& in, uint8_t slot) {
  return (int64_t{in.day} * slots_per_day + slot) * slot_us;
}

void put_counts(packed_writer& to, const cube& in) {
  to.put(in.beyond_cap);
  for (const auto& texts : in.texts) {
    to.put(texts.size());
    for (const auto& text : texts)
      to.put_text(text);
  }
  to.put(in.combinations.size());
  for (size_t i = 0; i < in.combinations.size(); ++i) {
    const auto& key = in.combinations[i];
    to.put(key.feature);
    to.put(key.action);
    to.put(key.route);
    to.put(key.method);
    to.put_signed(key.status);
    put(to, in.day_sums[i]);
  }
  to.put(in.spans.size());
  ascending feature;
  ascending slot;
  for (const auto& span : in.spans) {
    auto next = feature.difference(span.feature);
    if (next > 0)
      slot = {};
    to.put(next);
    to.put(slot.difference(span.slot));
    to.put(static_cast<uint64_t>(span.first_us - start_of_slot(in, span.slot)));
    to.put(static_cast<uint64_t>(span.last_us - span.first_us));
  }
}

void get_spans(packed_reader& from, cube& into) {
  ascending feature;
  ascending slot;
  for (auto left = from.get_count(); left > 0; --left) {
    auto next = from.get();
    if (next > 0)
      slot = {};
    cube::span span{.feature = static_cast<uint32_t>(feature.after(next))};
    if (next > UINT32_MAX || span.feature >= texts_of(into, dimension::feature).size())
      from.fail();
    span.slot = get_slot(from, slot);
    auto first = from.get_up_to(slot_us - 1);
    auto length = from.get_up_to(slot_us - 1 - first);
    span.first_us = start_of_slot(into, span.slot) + static_cast<int64_t>(first);
    span.last_us = span.first_us + static_cast<int64_t>(length);
    into.spans.push_back(span);
  }
}

void get_counts(packed_reader& from, cube& into) {
  into.beyond_cap = from.get();
  for (auto& texts : into.texts)
    for (auto left = from.get_count(); left > 0; --left)
      texts.emplace_back(from.get_text());
  auto number = [&](dimension kind) { return get_number(from, texts_of(into, kind).size()); };
  for (auto left = from.get_count(); left > 0; --left) {
    combination key;
    key.feature = number(dimension::feature);
    key.action = number(dimension::action);
    key.route = number(dimension::route);
    key.method = number(dimension::method);
    auto status = from.get_signed();
    key.status = static_cast<int32_t>(status);
    if (key.status != status)
      from.fail();
    into.combinations.push_back(key);
    into.day_sums.push_back(get_sums(from));
  }
  get_spans(from, into);
}

/// Rows of one key after the other: its number goes on, or stays and the slot goes on.
void put_slots(packed_writer& to, const cube& in) {
  to.put(in.cells.size());
  ascending key;
  ascending slot;
  for (const auto& cell : in.cells) {
    auto next = key.difference(cell.combination);
    if (next > 0)
      slot = {};
    to.put(next * 128 + slot.difference(cell.slot));
    put(to, cell.sums);
  }
}

/// What `put_slots` has written of key and slot together.
struct key_and_slot {
  ascending key, slot;

  void read(packed_reader& from, size_t keys, uint32_t& number, uint8_t& in_day) {
    auto both = from.get();
    if (both / 128 > keys)
      from.fail();
    if (both / 128 > 0)
      slot = {};
    auto at = key.after(both / 128);
    auto of_day = slot.after(both % 128);
    if (at >= keys || of_day >= slots_per_day)
      from.fail();
    number = static_cast<uint32_t>(at);
    in_day = static_cast<uint8_t>(of_day);
  }
};

void get_slots(packed_reader& from, cube& into) {
  key_and_slot at;
  for (auto left = from.get_count(); left > 0; --left) {
    cube::cell cell;
    at.read(from, into.combinations.size(), cell.combination, cell.slot);
    cell.sums = get_sums(from);
    into.cells.push_back(cell);
  }
}

void put_day_latency(packed_writer& to, const cube& in) {
  to.put(in.timed_routes.size());
  for (const auto& key : in.timed_routes) {
    to.put(key.feature);
    to.put(key.route);
    to.put(key.method);
  }
  to.put(in.day_buckets.size());
  ascending key;
  ascending bucket;
  for (const auto& row : in.day_buckets) {
    auto next = key.difference(row.timed_route);
    if (next > 0)
      bucket = {};
    to.put(next);
    to.put(bucket.difference(row.bucket));
    to.put(row.n);
  }
}

uint16_t get_bucket(packed_reader& from, ascending& bucket) {
  auto out = bucket.after(from.get_up_to(latency_buckets));
  return out < latency_buckets ? static_cast<uint16_t>(out)
                               : static_cast<uint16_t>(packed_reader::fail());
}

void get_day_latency(packed_reader& from, cube& into) {
  for (auto left = from.get_count(); left > 0; --left) {
    timed_route key;
    key.feature = get_number(from, texts_of(into, dimension::feature).size());
    key.route = get_number(from, texts_of(into, dimension::route).size());
    key.method = get_number(from, texts_of(into, dimension::method).size());
    into.timed_routes.push_back(key);
  }
  ascending key;
  ascending bucket;
  for (auto left = from.get_count(); left > 0; --left) {
    auto next = from.get_up_to(into.timed_routes.size());
    if (next > 0)
      bucket = {};
    auto at = key.after(next);
    if (at >= into.timed_routes.size())
      from.fail();
    cube::day_bucket row{.timed_route = static_cast<uint32_t>(at)};
    row.bucket = get_bucket(from, bucket);
    row.n = from.get();
    into.day_buckets.push_back(row);
  }
}

void put_slot_latency(packed_writer& to, const cube& in) {
  to.put(in.slot_buckets.size());
  ascending key;
  ascending slot;
  ascending bucket;
  for (const auto& row : in.slot_buckets) {
    auto next = key.difference(row.timed_route);
    if (next > 0)
      slot = {};
    auto further = slot.difference(row.slot);
    if (next > 0 || further > 0)
      bucket = {};
    to.put(next * 128 + further);
    to.put(bucket.difference(row.bucket) * 2 + (row.n > 1 ? 1 : 0));
    if (row.n > 1)
      to.put(row.n);
  }
}

void get_slot_latency(packed_reader& from, cube& into) {
  key_and_slot at;
  ascending bucket;
  uint32_t last_key = UINT32_MAX;
  uint8_t last_slot = 0;
  for (auto left = from.get_count(); left > 0; --left) {
    cube::slot_bucket row;
    at.read(from, into.timed_routes.size(), row.timed_route, row.slot);
    if (row.timed_route != last_key || row.slot != last_slot)
      bucket = {};
    last_key = row.timed_route;
    last_slot = row.slot;
    auto next = from.get_up_to(2 * latency_buckets + 1);
    auto of_bucket = bucket.after(next / 2);
    if (of_bucket >= latency_buckets)
      from.fail();
    row.bucket = static_cast<uint16_t>(of_bucket);
    row.n = next % 2 == 1 ? from.get() : 1;
    into.slot_buckets.push_back(row);
  }
}

void put_instances(packed_writer& to, const cube& in) {
  to.put(in.instances.size());
  for (const auto& row : in.instances) {
    to.put(row.feature);
    to.put(row.instance);
    to.put_byte(row.slot);
    to.put(row.n);
  }
}

void get_instances(packed_reader& from, cube& into) {
  for (auto left = from.get_count(); left > 0; --left) {
    cube::instance_count row;
    row.feature = get_number(from, texts_of(into, dimension::feature).size());
    row.instance = get_number(from, texts_of(into, dimension::instance).size());
    row.slot = from.get_byte();
    if (row.slot >= slots_per_day)
      from.fail();
    row.n = from.get();
    into.instances.push_back(row);
  }
}

void put_persons(packed_writer& to, const cube& in) {
  for (auto person : in.persons)
    to.put_fixed(person);
}

void get_persons(packed_reader& from, cube& into) {
  if (from.left() % sizeof(uint64_t) != 0)
    from.fail();
  into.persons.reserve(from.left() / sizeof(uint64_t));
  while (from.left() > 0)
    into.persons.push_back(from.get_fixed<uint64_t>());
}

void put_users(packed_writer& to, const cube& in) {
  to.put(in.user_groups.size());
  for (const auto& group : in.user_groups) {
    to.put(group.feature);
    to.put(group.kind);
  }
  to.put(in.users.size());
  ascending group;
  ascending person;
  for (const auto& user : in.users) {
    auto next = group.difference(user.group);
    if (next > 0)
      person = {};
    to.put(next);
    to.put(person.difference(user.person));
    put(to, user.active);
  }
}

void get_users(packed_reader& from, cube& into) {
  for (auto left = from.get_count(); left > 0; --left) {
    user_group group;
    group.feature = get_number(from, texts_of(into, dimension::feature).size());
    group.kind = get_number(from, texts_of(into, dimension::user_kind).size());
    into.user_groups.push_back(group);
  }
  ascending group;
  ascending person;
  for (auto left = from.get_count(); left > 0; --left) {
    auto next = from.get_up_to(into.user_groups.size());
    if (next > 0)
      person = {};
    cube::user user;
    auto of_group = group.after(next);
    auto of_person = person.after(from.get_up_to(into.persons.size()));
    if (of_group >= into.user_groups.size() || of_person >= into.persons.size())
      from.fail();
    user.group = static_cast<uint32_t>(of_group);
    user.person = static_cast<uint32_t>(of_person);
    user.active = get_slots(from);
    into.users.push_back(user);
  }
}

void put_addresses(packed_writer& to, const cube& in) {
  to.put(in.addresses.size());
  for (const auto& address : in.addresses) {
    to.put_fixed(address.hash);
    put(to, address.active);
  }
}

void get_addresses(packed_reader& from, cube& into) {
  for (auto left = from.get_count(); left > 0; --left) {
    auto hash = from.get_fixed<uint64_t>();
    into.addresses.push_back({hash, get_slots(from)});
  }
}

struct section_format {
  cube_parts wanted_for;
  void (*put)(packed_writer&, const cube&);
  void (*get)(packed_reader&, cube&);
};

constexpr std::array<section_format, sections> formats{{
  {all_cube_parts, put_counts, get_counts},
  {static_cast<cube_parts>(cube_part::counts_by_slot), put_slots, get_slots},
  {cube_part::latency_by_day | cube_part::latency_by_slot, put_day_latency, get_day_latency},
  {static_cast<cube_parts>(cube_part::latency_by_slot), put_slot_latency, get_slot_latency},
  {static_cast<cube_parts>(cube_part::instances), put_instances, get_instances},
  {cube_part::persons | cube_part::users, put_persons, get_persons},
  {static_cast<cube_parts>(cube_part::users), put_users, get_users},
  {static_cast<cube_parts>(cube_part::addresses), put_addresses, get_addresses},
}};

} // namespace

std::string write_cube(const cube& whole) {
  packed_writer head;
  packed_writer bodies;
  head.put_byte(version);
  head.put_signed(whole.day);
  for (const auto& format : formats) {
    packed_writer body;
    format.put(body, whole);
    put_place(head, body.bytes());
    bodies.append(body.bytes());
  }
  head.put_fixed(crc32_of(head.bytes()));
  head.append(bodies.bytes());
  return head.take();
}

cube read_cube(std::string_view body, cube_parts parts) {
  packed_reader from{body};
  const auto written = from.get_byte();
  if (written > version && has_cube_head(body))
    throw newer_cube{"it was written by a newer version (cubes of version "
                     + std::to_string(written) + ", this program knows " + std::to_string(version)
                     + "); install that version"};
  if (written < first_version || written > version)
    from.fail();
  cube out;
  auto day = from.get_signed();
  out.day = static_cast<int32_t>(day);
  out.parts = parts;
  std::array<section_place, sections> places;
  for (auto& place : places)
    place = get_place(from);
  auto head = body.substr(0, body.size() - from.left());
  if (from.get_fixed<uint32_t>() != crc32_of(head) || std::abs(day) > last_day)
    from.fail();
  for (size_t i = 0; i < sections; ++i) {
    auto bytes = from.get_bytes(places[i].size);
    bool wanted = i == counts_section || (parts & formats[i].wanted_for) != 0;
    if (!wanted)
      continue;
    if (crc32_of(bytes) != places[i].checksum)
      from.fail();
    packed_reader section{bytes};
    formats[i].get(section, out);
    section.must_be_at_end();
  }
  from.must_be_at_end();
  return out;
}

} // namespace phi::statistics
