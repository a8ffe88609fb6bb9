#pragma once
/// Reads the configuration: built-in defaults, then the file, then the environment.

#include "config/config.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phi {

/// One thing that is wrong: what, where, and what would be right.
struct config_problem {
  /// Several lines when it shows the place in the file. What is wrong with a value begins with the
  /// path of its key.
  std::string text;
};

/// The origin of a value that nobody has set.
inline constexpr const char* default_origin = "default";

struct loaded_config {
  config values;
  std::map<std::string, std::string>
    origins; ///< path -> `default_origin`, "FILE:LINE", "environment NAME"
  std::vector<std::string> warnings;
  std::vector<config_problem> problems; ///< not empty: the values must not be used

  bool ok() const { return problems.empty(); }
};

/// The environment as a list of "NAME=value", so that tests can give their own.
using environment = std::vector<std::pair<std::string, std::string>>;

/// The environment of this process.
environment process_environment();

/// Loads, resolves and checks. `file` may be empty: then only defaults and environment count. Never
/// throws; all problems are collected, not only the first.
loaded_config load_config(const std::string& file, const environment& env);

/// Says in front of a problem with a value who set it: "FILE:LINE: " or "environment NAME: ".
void name_origins(loaded_config& loaded);

/// Checks that need several keys: impossible combinations, budgets, unsafe settings.
std::vector<config_problem> check_config(const config& values);

} // namespace phi
