#pragma once
/// What survives a process: a database in memory as PostgreSQL is, or the embedded one, and the
/// disk of a spool; each with its troubles. And the ports of a process to them.

#include "actors/ports/cluster_port.hpp"
#include "actors/ports/maintenance_port.hpp"
#include "actors/ports/reader_port.hpp"
#include "actors/ports/spool_port.hpp"
#include "actors/ports/store_port.hpp"
#include "tests/simulation/machine.hpp"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace phi::simulation {

/// Transactions are whole or not at all, and an identity is stored once: that is what a database
/// is for. When its answer is lost, who asked does not know.
struct database {
  struct troubles {
    int away = 0; ///< each of these: so many reasons at a time
    int silent = 0;
    int slow = 0;
    int refuses = 0; ///< everything, by its own word
    int read_only = 0;
    int full = 0;
    int64_t lose_before_commit = 0; ///< so many connections end right before COMMIT
    int64_t lose_after_commit = 0;  ///< so many after it
    int64_t unknown = 0;            ///< so many end in it, and it is done or not
    std::set<digest> refused;       ///< events that it never takes
    std::set<digest> cursed;        ///< events with which every transaction fails
    bool curse_reached = true;
    bool curse_passing = false;
  };

  bool shared = false;             ///< by instances with spools; else the embedded one
  std::map<digest, uint32_t> rows; ///< by identity: how many
  std::map<digest, commit_result::counts> batches; ///< by the id of a part
  uint64_t counted = 0;                            ///< rows in the derived counts
  bool corrupted = false;                          ///< the counts say something else
  process_id leader = 0;
  time_point leads_until{};
  uint64_t commits = 0;
  troubles trouble;

  bool holds(const digest& identity) const { return rows.contains(identity); }
};

struct spool_disk {
  struct batch {
    uint64_t number = 0;
    digest id{};
    std::vector<event> events;
    std::string aside; ///< why it is set aside; empty: it waits
    bool deferred = false;
  };
  struct troubles {
    int full = 0;
    int fails = 0;
    int slow = 0;
    int64_t unknown = 0;     ///< so many appends end in doubt
    int64_t keeps_taken = 0; ///< so many removals fail
    bool was_in_doubt = false;
  };

  std::deque<batch> batches;
  uint64_t last_number = 0;
  troubles trouble;

  bool holds(const digest& identity) const;
  /// Events that wait, also those set aside for a while; but for batches that hold one that is
  /// `cursed`: with which the database fails may stay until it takes others from behind it.
  uint64_t waiting(const std::set<digest>& cursed) const;
};

/// The ports of one process to what survives it. Made anew for each process.
struct storage_ports {
  std::shared_ptr<store_port> store;
  std::shared_ptr<reader_port> reader;
  std::shared_ptr<reader_port> inspector;
  std::shared_ptr<spool_port> spool;             ///< null with the embedded database
  std::shared_ptr<maintenance_port> maintenance; ///< the same
  std::shared_ptr<cluster_port> cluster;         ///< the same
  std::shared_ptr<bool> store_open = std::make_shared<bool>(false);
  std::shared_ptr<bool> store_closed_well = std::make_shared<bool>(false);
  std::shared_ptr<uint64_t> recovered = std::make_shared<uint64_t>(0);
};

storage_ports make_storage_ports(machine& on, process_id owner, database& stored, spool_disk& disk);

} // namespace phi::simulation
