#pragma once
/// Makes a cube out of events, and out of other cubes of the same day.

#include "server/statistics/counted_event.hpp"
#include "server/statistics/cube.hpp"

#include <deque>
#include <unordered_map>

namespace phi::statistics {

/// Distinct values of a dimension that a cube holds; whatever comes after them counts as
/// `other_text`, so that a sender who puts numbers into its routes costs nobody else anything.
inline constexpr size_t most_texts = 4096;

/// Numbers the values of a dimension in the order in which they come.
class text_numbers {
public:
  /// `cap`: at most so many, and `other_text`.
  explicit text_numbers(size_t cap) : cap_(cap) {}
  text_numbers(const text_numbers&) = delete;
  text_numbers& operator=(const text_numbers&) = delete;
  text_numbers(text_numbers&&) = default;

  /// `beyond` is set when the value had no room.
  uint32_t number_of(std::string_view text, bool& beyond);
  const std::string& text(uint32_t number) const { return texts_[number]; }
  std::vector<std::string> take();

private:
  uint32_t add(std::string_view text);

  size_t cap_;
  std::deque<std::string> texts_; ///< keeps them where they are: the keys are views of them
  std::unordered_map<std::string_view, uint32_t> numbers_;
};

/// Keys of a table, numbered in the order in which they come.
template <class Key>
class key_numbers {
public:
  uint32_t number_of(const Key& key) {
    auto [at, is_new] = numbers_.try_emplace(key, static_cast<uint32_t>(keys_.size()));
    if (is_new)
      keys_.push_back(key);
    return at->second;
  }
  bool contains(const Key& key) const { return numbers_.contains(key); }
  std::vector<Key> take() {
    numbers_.clear();
    return std::move(keys_);
  }

private:
  struct hash {
    size_t operator()(const Key& key) const noexcept;
  };
  std::vector<Key> keys_;
  std::unordered_map<Key, uint32_t, hash> numbers_;
};

template <>
size_t key_numbers<combination>::hash::operator()(const combination& key) const noexcept;
template <>
size_t key_numbers<timed_route>::hash::operator()(const timed_route& key) const noexcept;
template <>
size_t key_numbers<user_group>::hash::operator()(const user_group& key) const noexcept;

/// Rows are collected, and now and then sorted and added up: it takes memory for the result, and
/// for some ten thousand rows.
class cube_builder {
public:
  /// `day`: since 1970-01-01, UTC.
  explicit cube_builder(int32_t day, size_t cap = most_texts);

  /// An event of its day.
  void add(const counted_event& e);
  /// All parts of a cube of its day.
  void add(const cube& other);

  /// What was added so far; the builder is of no use afterwards.
  cube take();

private:
  struct person_row {
    uint32_t group = 0;
    uint64_t person = 0;
    day_slots active;
  };

  uint32_t number(dimension kind, std::string_view text, bool& beyond);
  void add_client(const counted_event& e, uint8_t slot);
  void add_counts(const cube& other, const std::array<std::vector<uint32_t>, dimensions>& texts);
  void add_people(const cube& other, const std::array<std::vector<uint32_t>, dimensions>& texts);
  void add_up_when_many();
  void add_up();
  void sum_up_days();
  void number_persons();

  cube made_;
  std::vector<text_numbers> texts_; ///< by dimension
  key_numbers<combination> combinations_;
  key_numbers<timed_route> timed_routes_;
  key_numbers<user_group> user_groups_;
  std::vector<person_row> users_;
  size_t rows_at_last_sum_ = 0;
};

/// All of one day, in whatever order: one cube that says the same.
cube merged(const std::vector<cube>& parts, size_t cap = most_texts);

} // namespace phi::statistics
