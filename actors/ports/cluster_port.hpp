#pragma once
/// What the membership actor needs of a database that several instances share.

#include "actors/ports/work_watch.hpp"
#include "config/config.hpp"
#include "protocol/lifecycle.hpp"
#include "protocol/names.hpp"
#include "protocol/outcome.hpp"
#include "protocol/questions.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace phi {

/// One connection of its own. Used by one thread; every call blocks up to the connect time-out and
/// the busy time-out.
class cluster_port {
public:
  virtual ~cluster_port() = default;

  /// Whatever takes long from now on looks there. Called before the first use, again after the
  /// actor died. A stop ends at once what connects; the rest it gives a second.
  virtual void watched_by(work_watch_ptr) {}

  struct report {
    service_state state = service_state::starting;
    uint64_t spooled = 0;
    bool committed = false; ///< something, since the last beat
  };
  struct heard {
    std::optional<instance_wish> wanted; ///< of this instance; nothing: nobody has asked
    bool leads = false;                  ///< maintenance is this instance's duty now
  };

  /// Renews the lease of this instance and tells how it is. Fails when the database is away.
  virtual result<heard> beat(const report& report) = 0;

  /// Never throws.
  virtual query_answer answer(const cluster_task& task) = 0;

  virtual void apply_settings(const config& settings) = 0;

  /// This instance has stopped: the others need not miss it. Gives up after a second at the
  /// most, when somebody has locked the table: then the lease ends by itself.
  virtual void leave() = 0;
};

using cluster_port_ptr = std::shared_ptr<cluster_port>;

} // namespace phi
