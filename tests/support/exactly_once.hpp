#pragma once
/// The promise, counted: what was acknowledged is stored, each once.

#include "tests/support/doctest.hpp"
#include "tests/support/load.hpp"
#include "tests/support/stored.hpp"

namespace phi::testing {

/// Acknowledged = stored, each once; refused = not stored; the counts say the same.
inline void check_exactly_once(const question& ask, const load_result& seen) {
  auto stored = stored_actions(ask, "load");
  size_t missing = 0;
  size_t twice = 0;
  size_t refused_but_stored = 0;
  for (const auto& id : seen.acknowledged)
    missing += !stored.contains(id);
  for (const auto& [id, n] : stored) {
    twice += n > 1;
    refused_but_stored += seen.refused.contains(id) && !seen.acknowledged.contains(id);
  }
  CHECK(seen.acknowledged.size() > 0);
  CHECK(missing == 0);
  CHECK(twice == 0);
  CHECK(refused_but_stored == 0);
  CHECK(count_mismatch(ask) == "");
}

/// And nothing else is stored: for loads that got an answer to everything they sent.
inline void check_nothing_else(const question& ask, const load_result& seen) {
  CHECK(stored_actions(ask, "load").size() == seen.acknowledged.size());
}

} // namespace phi::testing
