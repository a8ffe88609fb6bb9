#pragma once
/// Clients of a service: those that send events and count, and those that are a nuisance.

#include "tests/soak/soaked_service.hpp"

#include <atomic>
#include <thread>
#include <vector>

namespace phi::soak {

/// Senders of events with ids; some send again what was refused or lost, with the same ids.
class senders {
public:
  senders(soaked_service& at, uint64_t seed);
  ~senders() { finish(); }
  void finish();

private:
  void run(soaked_service& at, int number, uint64_t seed);

  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

/// One request of several events; with `poison`, one that the database refuses among them.
void send_batch(soaked_service& at, chance& by, bool poison);

// Nuisances. Each takes up to a few seconds.
void connect_and_reset(soaked_service& at, chance& by);
void slow_clients(soaked_service& at, chance& by);
void half_open(soaked_service& at, chance& by);
void abandoned_questions(soaked_service& at, chance& by);
void wrong_input(soaked_service& at, chance& by);
void poison(soaked_service& at, chance& by);

} // namespace phi::soak
