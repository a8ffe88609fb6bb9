#pragma once
/// phictl of the build under test, with the socket of a service in a directory of its own.

#include "tests/support/service_process.hpp"

#include <filesystem>
#include <set>
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

/// The commands at the ends of the tree that --help shows: "status", "stats daily", ...
inline std::set<std::string> all_commands(const std::vector<std::string>& of = {}) {
  auto words = of;
  words.insert(words.begin(), phictl());
  words.push_back("--help");
  auto help = run_program(words).out;
  std::string name;
  for (const auto& word : of)
    name += (name.empty() ? "" : " ") + word;
  auto at = help.find("Subcommands:\n");
  if (at == help.npos)
    return {name};
  std::set<std::string> out;
  std::istringstream lines{help.substr(at + 13)};
  for (std::string line; std::getline(lines, line) && !line.empty();) {
    if (line[2] == ' ')
      continue;
    auto deeper = of;
    deeper.push_back(words_of(line).at(0));
    out.merge(all_commands(deeper));
  }
  return out;
}

} // namespace phi::testing
