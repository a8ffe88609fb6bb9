#pragma once
/// What can befall a house, by name; drawn by chance.

#include "tests/soak/house.hpp"

#include <functional>
#include <string>
#include <vector>

namespace phi::soak {

enum class befalls : uint8_t {
  process, ///< one of these at a time
  world,   ///< beside what befalls the process
};

struct fault {
  std::string name;
  befalls whom;
  bool on_sqlite;
  bool on_postgres;
  std::function<void(house&, chance&)> run; ///< ends with all as it was
};

/// Those that may befall this house.
std::vector<fault> faults_of(house& at, befalls whom);

} // namespace phi::soak
