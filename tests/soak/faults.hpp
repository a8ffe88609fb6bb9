#pragma once
/// What can befall a service, by name; drawn by chance.

#include "tests/soak/soaked_service.hpp"

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
  std::function<void(soaked_service&, chance&)> run; ///< ends with all as it was
};

/// Those that may befall this service.
std::vector<fault> faults_of(soaked_service& at, befalls whom);

} // namespace phi::soak
