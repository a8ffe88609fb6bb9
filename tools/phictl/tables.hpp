#pragma once
/// Tables: rows of cells in columns. On a terminal they fit it, and show where something is cut;
/// elsewhere each row is one line, and whole.

#include "tools/phictl/output.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace phi::ctl {

/// Rows of cells; the first is the head.
using table = std::vector<std::vector<shown>>;

/// Columns of texts, as wide as their widest cell. On a terminal the last one is cut at its width.
void print_table(const table& rows);

/// Columns of numbers, which stand to the right, behind `names` columns that say what they are of.
/// Where a terminal is too narrow, heads are broken at their spaces, names that leave less than
/// half of it are shortened, which is said, and columns that still do not fit stand below, with the
/// names again.
void print_numbers(const table& rows, size_t names);

/// The same with a bar behind each row, as long as its count, where there is room. Rows without a
/// count are sums.
void print_bars(table rows, const std::vector<uint64_t>& counts, size_t names);

/// A bar of `share` of `width` characters, in eighths.
shown bar_of(double share, size_t width);

/// How long a bar is where there is room enough.
inline constexpr size_t longest_bar = 30;

} // namespace phi::ctl
