#pragma once
/// Places where a test build can be made to fail. In any other build they are nothing.

#include <string_view>

namespace phi {

#ifdef PHI_FAULT_INJECTION

/// Does what the environment's PHI_FAULTS asks for at `where`: `where=spin`, `=block`, `=block:MS`,
/// `=throw`, `=kill` (SIGKILL to this process), several separated by `,`. `where=ACTION@N` acts
/// from the Nth pass on, `where=ACTION@N*M` in M passes from there. tests/README.md lists the
/// places.
void fault_point(std::string_view where);

#else

inline void fault_point(std::string_view) {}

#endif

} // namespace phi
