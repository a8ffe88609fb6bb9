#pragma once
/// What the environment wants traced.

#include "server/observe/trace.hpp"

namespace phi {

/// PHI_TRACE=1 or a file; PHI_TRACE_ACTORS, PHI_TRACE_MESSAGES and PHI_TRACE_CONTENT narrow or
/// widen what it shows. What is wrong with them is logged, and nothing is traced.
void trace_if_asked(trace_recorder& trace);

} // namespace phi
