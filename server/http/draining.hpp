#pragma once
/// How connections are ended, politely first. On the loop's thread.

#include "server/http/connection_link.hpp"

namespace phi::http {

/// Ends those that wait for a request.
void end_idle(link_registry& links);

/// Answers 408 to those whose request has come in part, and ends them.
void refuse_partial(link_registry& links);

/// Ends those that are slow to send or to take an answer, whatever they do.
void cut_slow(link_registry& links);

void cut_all(link_registry& links);

} // namespace phi::http
