#pragma once
/// The throwaway machine that the drills run on: a real systemd (with-systemd), the service
/// installed by deploy/install.sh.

#include "tests/support/service_process.hpp"

#include <chrono>
#include <functional>
#include <string>

namespace phi::testing {

/// What a line of shell prints, stdout and stderr together, and its exit status.
struct shell_result {
  int code = -1;
  std::string out;
};
shell_result sh(const std::string& line);

/// Polls until `holds`; whether it came to hold.
bool soon(const std::function<bool()>& holds,
          std::chrono::milliseconds limit = std::chrono::seconds{20});

/// The service as install.sh installs it from the build under test. Each drill begins with it
/// running afresh: no data, no drop-ins, the configuration as it came.
class installed_service {
public:
  static constexpr uint16_t port = 3939;

  /// `drop_in`: lines for the section [Service]; `config`: instead of the configuration as it came.
  explicit installed_service(const std::string& drop_in = "", const std::string& config = "",
                             bool start = true);
  ~installed_service();

  std::string property(const std::string& name) const;
  long number(const std::string& name) const;
  /// Lines of its journal since this drill began.
  std::string journal(const std::string& arguments = "") const;
  bool logged(const std::string& text) const { return journal().find(text) != std::string::npos; }
  std::string database() const { return "/var/lib/phi-backend/phi.db"; }
  /// Without the drop-in from now on, and running.
  void heal();

private:
  std::string began_;
};

} // namespace phi::testing
