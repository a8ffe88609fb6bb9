// Alone knows the paths of this machine: what else is compiled is the same in every folder, and so
// comes from the compiler's cache.
#include "tests/support/places.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace phi::testing {

std::string source_path(const std::string& name) {
  return std::string{PHI_SOURCE_ROOT} + "/" + name;
}

std::string read_source(const std::string& name) {
  std::ifstream in{source_path(name)};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string binary() {
  const char* given = std::getenv("PHI_TEST_BINARY");
  return given ? given : PHI_TEST_BINARY;
}

} // namespace phi::testing
