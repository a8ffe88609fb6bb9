#include "server/statistics/distinct_count.hpp"

#include <numeric>
#include <utility>

namespace phi::statistics {
namespace {

constexpr size_t first_places = 64;

/// Every bit depends on all bits of the hash (the finalizer of MurmurHash3).
uint64_t mix(uint64_t x) {
  x = (x ^ x >> 33) * 0xff51afd7ed558ccdU;
  x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53U;
  return x ^ x >> 33;
}

bool is_kept(uint64_t mixed, int halvings) {
  return (mixed & ((uint64_t{1} << halvings) - 1)) == 0;
}

} // namespace

void distinct_count::add(uint64_t person) {
  auto mixed = mix(person);
  if (!is_kept(mixed, halvings_))
    return;
  if (3 * places_.size() < 4 * (kept_ + 1))
    rehash(places_.empty() ? first_places : places_.size() * 2);
  if (!insert(person, mixed) || kept_ <= exact_)
    return;
  while (kept_ > exact_)
    halve();
}

uint64_t distinct_count::sum() const {
  return std::accumulate(places_.begin(), places_.end(), uint64_t{0}) & ~(uint64_t{1} << 63);
}

void distinct_count::halve() {
  ++halvings_;
  rehash(places_.size());
  if (places_.size() > first_places && 4 * kept_ < places_.size())
    rehash(places_.size() / 2);
}

bool distinct_count::insert(uint64_t person, uint64_t mixed) {
  // The low bits are alike in a sample.
  auto mask = places_.size() - 1;
  for (auto at = (mixed >> 24) & mask;; at = (at + 1) & mask) {
    if (places_[at] == person)
      return false;
    if (places_[at] == 0) {
      places_[at] = person;
      ++kept_;
      return true;
    }
  }
}

void distinct_count::rehash(size_t places) {
  auto before = std::exchange(places_, std::vector<uint64_t>(places));
  kept_ = 0;
  for (auto person : before)
    if (auto mixed = mix(person); person != 0 && is_kept(mixed, halvings_))
      insert(person, mixed);
}

} // namespace phi::statistics
