#pragma once
/// phictl of the build under test, with the socket of a service in a directory of its own.

#include "tests/support/service_process.hpp"

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

namespace phi::testing {

inline std::string phictl() {
  auto build = std::filesystem::path{binary()}.parent_path().parent_path();
  return (build / "tools/phictl/phictl").string();
}

/// phictl with the socket of the service in `dir`.
inline program_result ctl(const temp_dir& dir, std::vector<std::string> words, settings env = {}) {
  words.insert(words.begin(), {phictl(), "--socket", dir.path("admin.sock")});
  return run_program(words, env);
}

/// A line of shell.
inline program_result shell(const std::string& line) {
  return run_program({"/bin/bash", "-c", line});
}

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

inline std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in{text};
  std::vector<std::string> out;
  for (std::string word; in >> word;)
    out.push_back(word);
  return out;
}

} // namespace phi::testing
