#pragma once
/// Who holds the connections of one event loop in a stop: the actors that have requests of it, and
/// the clients that owe something.

#include "protocol/status.hpp"
#include "server/http/connection_link.hpp"
#include "server/http/exchanges.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace phi::http {

/// Written on the loop's thread, read by any.
class holders {
public:
  /// Nobody is accepted any more: from now on it counts who holds the stop.
  void begin(time_point now);

  /// Looks who holds now. Without `exactly` not more often than every few milliseconds: it walks
  /// through all connections.
  void inspect(const exchange_table& exchanges, link_registry& links, time_point now, bool exactly);

  /// Who holds now and since when, and for how long those held the stop that are gone.
  std::vector<waited> tell(time_point now) const;

private:
  struct held_connections {
    time_point since{};
    wait_kind kind = wait_kind::actor;
    std::string debt;     ///< ", which owes the rest of its request"; empty for an actor
    bool follows = false; ///< that debt comes of an earlier one, which is the cause
  };
  struct held {
    duration how_long{};
    wait_kind kind = wait_kind::actor;
    std::string debt;
  };

  mutable std::mutex mutex_;
  std::optional<time_point> began_;
  time_point inspected_{};
  std::map<std::string, held_connections> present_; ///< by name
  std::map<std::string, held> past_;
};

} // namespace phi::http
