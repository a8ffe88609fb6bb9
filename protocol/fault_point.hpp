#pragma once
/// Places where a test build can be made to fail. In any other build they are nothing.

#include <cstdint>
#include <string_view>

namespace phi {

#ifdef PHI_FAULT_INJECTION

/// Does what the environment's PHI_FAULTS asks for at `where`: `where=spin`, `=block`, `=block:MS`,
/// `=throw`, `=kill` (SIGKILL to this process), several separated by `,`. `where=ACTION@N` acts
/// from the Nth pass on, `where=ACTION@N*M` in M passes from there. tests/README.md lists the
/// places.
void fault_point(std::string_view where);

/// A limit that a drill makes smaller: the number in the environment variable `name`, or `limit`.
int64_t limit_in_drills(const char* name, int64_t limit);

#else

inline void fault_point(std::string_view) {}
inline int64_t limit_in_drills(const char*, int64_t limit) {
  return limit;
}

#endif

} // namespace phi
