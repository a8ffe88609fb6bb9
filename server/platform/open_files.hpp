#pragma once
/// How many files this process may have open, and how many connections that is enough for.

#include <cstdint>

namespace phi {

/// Raises the limit as far as we may; the limit then.
int64_t raise_open_files();

/// The limit that so many connections and the rest of the service need.
int64_t open_files_for(int64_t connections);

/// How many of the `wanted` connections fit in a limit; at least one.
int64_t connections_within(int64_t wanted, int64_t limit);

} // namespace phi
