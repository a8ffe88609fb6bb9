#pragma once
/// Where the project and the program under test are.

#include <string>

namespace phi::testing {

/// A file of the project, by its path from the project's root.
std::string source_path(const std::string& name);

/// The text of a file of the project, for tests that hold documents against the code.
std::string read_source(const std::string& name);

/// The service under test: this build's, or that of another flavour by PHI_TEST_BINARY.
std::string binary();

} // namespace phi::testing
