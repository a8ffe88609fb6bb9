#pragma once
/// What the signal actor needs of the operating system.

#include "protocol/lifecycle.hpp"

#include <functional>

namespace phi {

/// Thread-safe.
class signal_port {
public:
  virtual ~signal_port() = default;

  /// From now on `handler` gets every signal, in a thread of the port; first those that came
  /// before. An empty handler: keep them.
  virtual void attach(std::function<void(const heard_signal&)> handler) = 0;
};

} // namespace phi
