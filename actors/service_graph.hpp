#pragma once
/// Who there is: the actors of the service as a table, from which they are started, watched,
/// stopped and found. The one place that spawns them, but for the supervisor. It knows ports only,
/// so that a test can build it.

#include "actors/current_actors.hpp"
#include "actors/ports/admin_port.hpp"
#include "actors/ports/cluster_port.hpp"
#include "actors/ports/console_port.hpp"
#include "actors/ports/http_port.hpp"
#include "actors/ports/maintenance_port.hpp"
#include "actors/ports/reader_port.hpp"
#include "actors/ports/signal_port.hpp"
#include "actors/ports/spool_port.hpp"
#include "actors/ports/store_port.hpp"
#include "actors/ports/watch_port.hpp"
#include "actors/supervisor.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace phi {

/// What the actors stand on. Without a comment: never null.
struct service_ports {
  store_port_ptr store;
  reader_port_ptr reader;
  reader_port_ptr inspector;        ///< another connection, for what takes long
  spool_port_ptr spool;             ///< null: there is no spool
  maintenance_port_ptr maintenance; ///< null: the database needs none
  cluster_port_ptr cluster;         ///< null: this instance is alone
  http_port_ptr http;
  watch_port_ptr watch;
  console_port_ptr console;
  std::shared_ptr<signal_port> signals;
  std::shared_ptr<admin_port> admin;
};

/// Outlives the actor system but for the handles, which are released first.
class service_graph {
public:
  /// `own`: who blocks has a thread of its own. `shared`: all are in the system's pool, which on
  /// virtual time is one thread; then no port may block.
  enum class threads : uint8_t { own, shared };

  /// `current` learns of each actor that is started. `settings`: as they are at the start.
  service_graph(config_ptr settings, service_ports ports, std::shared_ptr<current_actors> current,
                threads use = threads::own);
  service_graph(const service_graph&) = delete;

  /// For the supervisor, in stop order: whoever serves comes after those whom it serves. The actors
  /// are spawned in `system`, which must outlive their use; this graph too.
  std::vector<child_spec> children(caf::actor_system& system);

  const activity_ptr& supervisor_activity() { return activities_[actor_name::supervisor]; }

  /// Before the end of the actor system, in any thread: nobody outside holds an actor any more.
  void release_handles();

private:
  struct row;
  struct starters;
  static const std::vector<row>& rows();

  child_spec describe(const row& entry, const std::vector<child_spec>& before);
  child_actor start(const row& entry, child_identity who);
  void register_with_watchdog(const std::string& name, const pingable_actor& actor);
  template <class Behavior, class... Ts>
  auto spawn(bool own_thread, Behavior behavior, Ts&&... arguments);

  duration query_timeout() const;

  config_ptr settings_;
  service_ports ports_;
  std::shared_ptr<current_actors> current_;
  threads threads_;
  caf::actor_system* system_ = nullptr;
  std::map<std::string, activity_ptr> activities_;
  std::map<std::string, pingable_actor> watched_; ///< used in the supervisor's thread
};

} // namespace phi
