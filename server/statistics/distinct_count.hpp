#pragma once
/// How many different persons there were.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace phi::statistics {

/// A set of 64-bit hashes: exact up to 2^20 of them, which is 16 MiB at most. Past that it keeps
/// half of them at a time, those whose mixed hash ends in zeros, and the count is an estimate: with
/// at least 2^19 in the sample its standard error is 0.14 % at most.
class distinct_count {
public:
  /// `exact`: so many are counted one by one, a power of two. Smaller ones are for tests.
  explicit distinct_count(size_t exact = size_t{1} << 20) : exact_(exact) {}

  /// `person`: not 0.
  void add(uint64_t person);
  uint64_t count() const { return static_cast<uint64_t>(kept_) << halvings_; }
  /// Of those that it holds, modulo 2^63: alike for two that were given the same persons.
  uint64_t sum() const;
  /// How many it holds in memory, in 32 bytes at most each.
  size_t held() const { return kept_; }
  /// Holds half of them from now on: the count is an estimate.
  void halve();
  bool is_exact() const { return halvings_ == 0; }

private:
  bool insert(uint64_t person, uint64_t mixed);
  void rehash(size_t places);

  size_t exact_;
  std::vector<uint64_t> places_; ///< open addressing, three quarters full at most; 0 is free
  size_t kept_ = 0;
  int halvings_ = 0;
};

} // namespace phi::statistics
