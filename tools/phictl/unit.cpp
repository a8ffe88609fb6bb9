#include "tools/phictl/unit.hpp"

#include <filesystem>

namespace phi::ctl {

int run(const std::vector<std::string>& command) {
  return run_program(command);
}

void systemctl(std::vector<std::string> words) {
  words.insert(words.begin(), "systemctl");
  if (run(words) != 0)
    throw failure{exit_status::failed, "systemctl has failed; see: phictl logs"};
}

captured capture(const std::vector<std::string>& command, bool with_errors) {
  return capture_program(command, with_errors);
}

std::string unit_property(const command_context& context, const std::string& name) {
  return capture({"systemctl", "show", "--value", "--property=" + name, context.unit}).out;
}

bool unit_installed(const command_context& context) {
  // The test that sd_booted(3) makes.
  return std::filesystem::exists("/run/systemd/system")
         && unit_property(context, "LoadState") == "loaded";
}

std::string socket_unit(const command_context& context) {
  return context.unit.substr(0, context.unit.rfind('.')) + ".socket";
}

void no_unit(const command_context& context, const std::string& verb) {
  throw failure{exit_status::failed, "there is no unit " + context.unit + " here to " + verb
                                       + "; install it with deploy/install.sh, or run phi-backend"
                                         " yourself"};
}

} // namespace phi::ctl
