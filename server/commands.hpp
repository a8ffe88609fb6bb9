#pragma once
/// The command line of phi-backend, and what it does beside serving.

#include "config/loader.hpp"

#include <optional>
#include <string>

namespace phi {

struct command_line {
  std::string file; ///< empty: none
  std::string unit = "phi-backend.service";
  std::string database; ///< to be checked
  bool check = false;
  bool print = false;
  bool migrate = false;
  bool plan = false;
  bool settle = false;

  /// Nothing: go on; else the exit status (after --help, or for what it does not know).
  std::optional<int> parse(int argc, char** argv);

  bool serves() const { return database.empty() && !check && !print && !migrate; }
};

/// Does one of them and returns its exit status.
int run_command(const command_line& line);

/// Prints what is wrong with the settings and returns the exit status for it.
int report_problems(const loaded_config& loaded);

} // namespace phi
