#pragma once
/// Other programs, run to their end. No shell is involved.

#include <string>
#include <vector>

namespace phi {

/// The exit status of a program that is not installed.
inline constexpr int not_installed = 127;

/// Runs a program, found on the PATH, with our own input and outputs. Its exit status; 128 and
/// more: a signal has ended it.
int run_program(const std::vector<std::string>& command);

struct captured {
  int status = not_installed;
  std::string out; ///< without the ends of lines at its end
};

/// The same, with what it prints on stdout, and on stderr if wanted.
captured capture_program(const std::vector<std::string>& command, bool with_errors);

} // namespace phi
