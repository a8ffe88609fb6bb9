#pragma once
/// Chance that a seed repeats.

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace phi::soak {

class chance {
public:
  explicit chance(uint64_t seed) : engine_{seed} {}

  uint64_t next() { return engine_(); }
  /// From `least` to `most`. Not a library's distribution: the same everywhere.
  int between(int least, int most) {
    return least + static_cast<int>(next() % static_cast<uint64_t>(most - least + 1));
  }
  bool one_in(int n) { return between(1, n) == 1; }
  template <typename T>
  const T& of(const std::vector<T>& some) {
    return some[next() % some.size()];
  }
  void wait_ms(int least, int most) {
    std::this_thread::sleep_for(std::chrono::milliseconds{between(least, most)});
  }

private:
  std::mt19937_64 engine_;
};

} // namespace phi::soak
