#pragma once
/// Files of the project itself, for tests that hold documents against the code.

#include <fstream>
#include <sstream>
#include <string>

namespace phi::testing {

/// The text of a file, by its path from the project's root.
inline std::string read_source(const std::string& name) {
  std::ifstream in{std::string{PHI_SOURCE_ROOT} + "/" + name};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

} // namespace phi::testing
