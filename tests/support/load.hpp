#pragma once
/// Clients that post events and remember which ids were acknowledged.

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace phi::testing {

struct load_result {
  std::set<std::string> acknowledged; ///< answered 200 or 202
  std::set<std::string> refused;      ///< answered 503: must not be stored
  uint64_t requests = 0;
  uint64_t spooled = 0; ///< answered 202
  uint64_t connections_refused = 0;
  uint64_t resets_after_send = 0; ///< sent whole, and the connection ended without an answer
  uint64_t other_answers = 0;
};

/// Posts from `clients` connections until told to stop; half of the clients keep their connection,
/// the others use one a request. Every event has its own id, and bears it as its action.
class load {
public:
  /// `prefix` begins every id.
  load(uint16_t port, const std::string& feature, int clients, int events_per_request = 1,
       const std::string& prefix = "");
  ~load();

  /// Ends the clients and gives what they saw.
  load_result finish();
  uint64_t acknowledged_so_far() const { return acknowledged_; }

private:
  void run(int client, uint16_t port, const std::string& feature, int events,
           const std::string& prefix);

  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> acknowledged_{0};
  std::mutex mutex_;
  load_result result_;
  std::vector<std::thread> clients_;
};

} // namespace phi::testing
