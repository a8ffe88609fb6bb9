#pragma once
/// Names and how often they were counted, the most frequent first.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace phi::statistics {

using ranked = std::vector<std::pair<std::string, uint64_t>>;

/// The first `top`; those that are as frequent by name. Without the empty name.
inline ranked ranking_of(const std::map<std::string, uint64_t>& counts,
                         size_t top = std::numeric_limits<size_t>::max()) {
  ranked out{counts.begin(), counts.end()};
  std::erase_if(out, [](const auto& row) { return row.first.empty(); });
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  out.resize(std::min(top, out.size()));
  return out;
}

} // namespace phi::statistics
