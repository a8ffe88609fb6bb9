#pragma once
/// A set of digests in one block of memory: open addressing, at most 32 bytes a digest.

#include "server/platform/digest.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace phi::store {

/// Used by one thread.
class digest_set {
public:
  bool contains(const digest& key) const { return is_zero(key) ? has_zero_ : find(key) != none; }

  /// Has the processor fetch where it would be.
  void prefetch(const digest& key) const {
    if (!slots_.empty())
      __builtin_prefetch(&slots_[home(key)]);
  }

  /// False: it was there already.
  bool add(const digest& key) {
    if (is_zero(key))
      return !std::exchange(has_zero_, true);
    if (slots_.size() < (size_ + 1) * 2)
      grow();
    auto at = home(key);
    for (; !is_zero(slots_[at]); at = next(at))
      if (are_same(slots_[at], key))
        return false;
    slots_[at] = key;
    ++size_;
    return true;
  }

  void erase(const digest& key) {
    if (is_zero(key)) {
      has_zero_ = false;
      return;
    }
    auto hole = find(key);
    if (hole == none)
      return;
    // Those behind it that would not be found across the hole move into it.
    for (auto at = next(hole); !is_zero(slots_[at]); at = next(at))
      if (distance(home(slots_[at]), at) >= distance(hole, at)) {
        slots_[hole] = slots_[at];
        hole = at;
      }
    slots_[hole] = {};
    --size_;
  }

  size_t size() const { return size_ + has_zero_; }

  /// All of them, in no order.
  std::vector<digest> all() const {
    std::vector<digest> out;
    out.reserve(size());
    if (has_zero_)
      out.emplace_back();
    for (const auto& slot : slots_)
      if (!is_zero(slot))
        out.push_back(slot);
    return out;
  }

private:
  static constexpr size_t none = ~size_t{0};
  static constexpr size_t first_slots = 1024;

  // In numbers: a call of memcmp takes longer.
  static bool are_same(const digest& left, const digest& right) {
    uint64_t lefts[2];
    uint64_t rights[2];
    std::memcpy(lefts, left.data(), sizeof lefts);
    std::memcpy(rights, right.data(), sizeof rights);
    return ((lefts[0] ^ rights[0]) | (lefts[1] ^ rights[1])) == 0;
  }
  static bool is_zero(const digest& value) { return are_same(value, digest{}); }

  // The key is of this set alone, so that no sender can choose ids that meet.
  size_t home(const digest& key) const { return mixed(key, key_) & (slots_.size() - 1); }
  size_t next(size_t at) const { return (at + 1) & (slots_.size() - 1); }
  size_t distance(size_t from, size_t to) const { return (to - from) & (slots_.size() - 1); }

  size_t find(const digest& key) const {
    if (slots_.empty())
      return none;
    for (auto at = home(key); !is_zero(slots_[at]); at = next(at))
      if (are_same(slots_[at], key))
        return at;
    return none;
  }

  void grow() {
    std::vector<digest> old(std::max(first_slots, slots_.size() * 2));
    old.swap(slots_);
    size_ = 0;
    for (const auto& slot : old)
      if (!is_zero(slot))
        add(slot);
  }

  std::vector<digest> slots_; ///< a power of two, at least half of them empty; zero: empty
  size_t size_ = 0;
  bool has_zero_ = false;
  uint64_t key_ = random_bits();
};

} // namespace phi::store
