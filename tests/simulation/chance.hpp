#pragma once
/// Chance that a seed repeats.

#include "protocol/time.hpp"

#include <cstdint>
#include <vector>

namespace phi::simulation {

/// SplitMix64: small, quick to seed, and the same everywhere.
class chance {
public:
  explicit chance(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    auto z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  /// From `least` to `most`.
  int64_t between(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(next() % static_cast<uint64_t>(most - least + 1));
  }
  bool one_in(int64_t n) { return between(1, n) == 1; }
  size_t below(size_t n) { return static_cast<size_t>(next() % n); }
  template <class T>
  const T& of(const std::vector<T>& some) {
    return some[below(some.size())];
  }
  /// Mostly short, now and then long: the square of an even chance.
  duration time(duration least, duration most) {
    auto share = static_cast<double>(next() >> 11) / static_cast<double>(uint64_t{1} << 53);
    auto span = static_cast<double>((most - least).count());
    return least + duration{static_cast<duration::rep>(span * share * share)};
  }

private:
  uint64_t state_;
};

} // namespace phi::simulation
