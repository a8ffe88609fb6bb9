#pragma once
/// "Did you mean ...?": the same for keys, parameters, fields, time zones and commands.

#include <algorithm>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace phi {

/// How many letters must be put in, taken out, changed, or change places with the next (optimal
/// string alignment).
inline size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before; // the one above that
  std::vector<size_t> above(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  std::iota(above.begin(), above.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(above, row);
  }
  return above[b.size()];
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

/// How many letters of a name may be wrong. Of a short name one: else any other short one would do.
inline size_t most_letters_wrong(size_t letters) {
  return letters <= 3 ? 1 : std::max<size_t>(2, letters / 3);
}

/// The same where a name such as server.port stands for `candidate`: the section that they share is
/// no likeness.
inline size_t most_letters_wrong(std::string_view name, std::string_view candidate) {
  auto section = name.substr(0, name.rfind('.') + 1);
  return most_letters_wrong(candidate.starts_with(section) ? name.size() - section.size()
                                                           : name.size());
}

/// Those of `known` that are closest to `name`, all equally; none when none is close. Capitals do
/// not matter. Nothing is close to nothing: whoever wrote no name at all meant none of the short
/// ones.
inline std::vector<std::string> all_closest(std::string_view name,
                                            std::span<const std::string> known) {
  std::vector<std::string> best;
  if (name.empty() || name.size() > longest_misspelt)
    return best;
  auto best_distance = most_letters_wrong(name.size());
  auto wanted = in_small_letters(name);
  for (const auto& candidate : known) {
    auto longer = std::max(name.size(), candidate.size());
    if (longer - std::min(name.size(), candidate.size()) > best_distance)
      continue; // so many letters must be put in or taken out at least
    auto distance = edit_distance(wanted, in_small_letters(candidate));
    if (distance > std::min(best_distance, most_letters_wrong(name, candidate)))
      continue;
    if (distance < best_distance)
      best.clear();
    best_distance = distance;
    best.push_back(candidate);
  }
  return best;
}

/// The first of them, or an empty text when none is close.
inline std::string closest(std::string_view name, std::span<const std::string> known) {
  auto best = all_closest(name, known);
  return best.empty() ? std::string{} : best.front();
}

} // namespace phi
