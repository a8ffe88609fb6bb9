#pragma once
/// The real program, started in a directory of its own, driven by signals and watched by its log.

#include "tests/support/places.hpp"
#include "tests/support/temp_dir.hpp"

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace phi::testing {

using settings = std::map<std::string, std::string>; ///< environment of the service

struct ended {
  int code = -1;                    ///< exit status, or -1
  int signal = 0;                   ///< that killed it
  std::chrono::milliseconds took{}; ///< since the call that waited
};

/// Runs a program to its end.
struct program_result {
  int code = -1;
  std::string out;
  std::string err;
};
program_result run_program(const std::vector<std::string>& args, const settings& env = {});

class service_process {
public:
  /// Starts it on a free port with its state in `dir`, and waits until it is ready unless told not
  /// to. Throws std::runtime_error with the log when it does not come up.
  /// `config`: a file for --config; empty: none.
  service_process(const std::string& dir, settings env = {}, bool wait_until_ready = true,
                  const std::string& config = "");
  ~service_process(); ///< kills it if it still runs

  uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }
  void signal(int number) const;
  bool running();

  /// Waits until it ends. Throws when it does not within `limit`.
  ended wait(std::chrono::milliseconds limit = std::chrono::seconds{60});
  /// SIGTERM, then wait.
  ended stop();
  /// SIGKILL, then wait.
  void kill();
  /// After it has ended: the same in the same directory, ready, with a new log.
  void start_again() { launch(true); }

  std::string log() const;
  bool logged(const std::string& text) const { return log().find(text) != std::string::npos; }
  bool wait_for_log(const std::string& text,
                    std::chrono::milliseconds limit = std::chrono::seconds{20});

  std::string database() const { return dir_ + "/phi.db"; }
  /// last-exit.json as text.
  std::string last_exit() const;

private:
  void launch(bool wait_until_ready);
  ended wait_since(std::chrono::steady_clock::time_point began, std::chrono::milliseconds limit);

  std::string dir_;
  settings env_;
  std::string config_;
  std::string log_file_;
  pid_t pid_ = -1;
  uint16_t port_ = 0;
};

/// Whether the build has fault points.
bool has_faults();
/// Whether the service under test has a sanitizer in it: it is slower then.
bool has_sanitizer();

std::string read_file(const std::string& path);

} // namespace phi::testing
