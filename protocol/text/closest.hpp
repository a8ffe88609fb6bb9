#pragma once
/// "Did you mean ...?": the same for keys, parameters, fields, time zones and commands.

#include <algorithm>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace phi {

/// How many letters must be put in, taken out or changed (Levenshtein).
inline size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

/// Nobody means something else by a longer name; and the work grows with its length.
inline constexpr size_t longest_misspelt = 64;

inline std::string in_small_letters(std::string_view text) {
  std::string out{text};
  for (char& c : out)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return out;
}

/// The closest of `known` to `name`, or an empty text when none is close; capitals do not
/// matter. Nothing is close to nothing: whoever wrote no name at all meant none of the short ones.
inline std::string closest(std::string_view name, std::span<const std::string> known) {
  std::string best;
  if (name.empty() || name.size() > longest_misspelt)
    return best;
  // Of a short name one letter may be wrong: else any other short one would do.
  size_t best_distance = (name.size() <= 3 ? 1 : std::max<size_t>(2, name.size() / 3)) + 1;
  auto wanted = in_small_letters(name);
  for (const auto& candidate : known) {
    auto longer = std::max(name.size(), candidate.size());
    if (longer - std::min(name.size(), candidate.size()) >= best_distance)
      continue; // so many letters must be put in or taken out at least
    auto distance = edit_distance(wanted, in_small_letters(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

} // namespace phi
