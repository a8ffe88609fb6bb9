#pragma once
/// Clients of a house: those that send events and count, and those that are a nuisance.

#include "tests/soak/house.hpp"

#include <atomic>
#include <thread>
#include <vector>

namespace phi::soak {

/// Senders of events with ids; some send again what was refused or lost, with the same ids.
class senders {
public:
  senders(house& at, uint64_t seed);
  ~senders() { finish(); }
  void finish();

private:
  void run(house& at, int number, uint64_t seed);

  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

/// One request of several events; with `poison`, one that the database refuses among them.
void send_batch(house& at, chance& by, bool poison);

// Nuisances. Each takes up to a few seconds.
void connect_and_reset(house& at, chance& by);
void slow_clients(house& at, chance& by);
void half_open(house& at, chance& by);
void abandoned_questions(house& at, chance& by);
void wrong_input(house& at, chance& by);
void poison(house& at, chance& by);

} // namespace phi::soak
