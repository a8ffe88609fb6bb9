#pragma once
/// Who sends events: well-behaved, in haste, gone before the answer, or of no use at all.

#include "tests/simulation/listener.hpp"
#include "tests/simulation/plan.hpp"

#include <functional>
#include <set>
#include <vector>

namespace phi::simulation {

class client : public client_end {
public:
  struct surroundings {
    machine& on;
    std::function<listener*(size_t instance)> front; ///< null: there is no process
    size_t instances = 1;
    std::function<void(const event&)> on_new_event;
  };

  client(surroundings around, const client_plan& plan, uint32_t number);

  void start();
  /// Nothing new from now on but what it owes to itself; who is of no use goes.
  void finish();
  bool done() const { return done_; }

  void told(uint64_t connection, const ingest_outcome* outcome) override;

private:
  /// A connection of ours.
  struct place {
    size_t instance;
    uint64_t connection;
    uint32_t request; ///< as counted by `request_`
  };

  void later(duration wait, void (client::*what)());
  void next();
  void send();
  void send_once();
  void send_again(duration wait);
  void make_events();
  void give_up_waiting(uint64_t of_try);
  void succeeded();
  std::optional<place> connect();
  void hang_up(const place& there);

  surroundings around_;
  client_plan plan_;
  uint32_t number_;
  uint32_t made_ = 0; ///< events
  uint32_t request_ = 0;
  size_t instance_;
  std::vector<event> events_; ///< of the request that is to be taken
  std::vector<place> open_;
  uint64_t tries_ = 0;
  bool waits_ = false; ///< for the present request
  bool sends_again_ = false;
  bool finishing_ = false;
  bool done_ = false;
};

} // namespace phi::simulation
