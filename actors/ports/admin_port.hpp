#pragma once
/// What the admin actor needs of the local socket.

#include "protocol/admin.hpp"
#include "protocol/outcome.hpp"

#include <functional>
#include <string>

namespace phi {

/// Thread-safe.
class admin_port {
public:
  virtual ~admin_port() = default;

  /// Takes requests from now on; `handler` gets each, in a thread of the port. Called again
  /// after the actor died: only the handler is replaced.
  virtual outcome open(std::function<void(admin_request_ptr)> handler) = 0;

  /// From now on nobody gets requests; when it was never opened it stays so.
  virtual void release_handles() = 0;
};

} // namespace phi
