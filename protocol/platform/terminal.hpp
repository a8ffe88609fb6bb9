#pragma once
/// Whether a person looks on.

#include <cstddef>

namespace phi {

bool is_terminal(int fd);

/// How many characters go on a line of a terminal; 0: not known, or it is none.
size_t columns_of_terminal(int fd);

} // namespace phi
