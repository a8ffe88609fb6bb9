#pragma once
/// One service on one database under random faults, its senders, and what is found wrong.

#include "tests/soak/account.hpp"
#include "tests/soak/chance.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/service_process.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/tcp_proxy.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace phi::soak {

enum class database : uint8_t { sqlite, postgres };

class soaked_service {
public:
  /// Starts the service, and has its database refuse what bears the word "poison". Its disk has
  /// room for what comes in so many minutes.
  soaked_service(database kind, double minutes);
  ~soaked_service();

  database kind() const { return kind_; }
  std::string name() const { return kind_ == database::sqlite ? "sqlite" : "postgres"; }
  uint16_t port() const { return port_; }
  testing::question asked() const;
  std::string directory() const { return dir_.path(); }

  // The process. One fault at a time has it.

  /// Starts it with these settings besides its own, and waits until it is ready.
  void start(const testing::settings& more = {});
  /// Waits until it ends; one of `codes` is right (a negative one: killed by that signal).
  int ended(const std::set<int>& codes);
  /// A signal, if it runs.
  void signal(int number);
  bool running();
  pid_t pid();
  std::string log();
  std::string last_exit();

  // Its world.
  testing::postgres_server& server() { return *server_; }
  testing::tcp_proxy& network() { return *network_; }
  testing::small_disk* disk() { return disk_ ? &*disk_ : nullptr; }
  /// While it is more than 0, the service may find no database to start with.
  std::atomic<int> no_start{0};

  /// A new phase: events bear its name as their feature.
  void begin(const std::string& phase);
  const std::string& phase() const { return phase_; }
  account& events() { return *events_; }
  std::string next_id(const std::string& prefix);

  /// All faults are over: everything must drain, and the account must hold.
  void settle();
  /// A clean stop at the end, whose report must balance.
  void close();

  void wrong(const std::string& what);
  const std::vector<std::string>& findings() const { return findings_; }
  account::totals all() const { return all_; }

private:
  testing::settings own_settings() const;
  void forbid_poison();
  void add_totals();

  database kind_;
  testing::temp_dir dir_;
  uint16_t port_;
  std::optional<testing::small_disk> disk_;
  std::unique_ptr<testing::postgres_server> server_;
  std::unique_ptr<testing::tcp_proxy> network_;
  std::mutex mutex_;
  std::unique_ptr<testing::service_process> service_;
  std::string phase_;
  std::unique_ptr<account> events_;
  std::atomic<uint64_t> ids_{0};
  std::mutex findings_guard_;
  std::vector<std::string> findings_;
  account::totals all_;
};

} // namespace phi::soak
