#pragma once
/// The systemd unit, by way of systemctl and journalctl. No shell is involved.

#include "protocol/platform/child_process.hpp"
#include "tools/phictl/context.hpp"

#include <string>
#include <vector>

namespace phi::ctl {

/// Runs a program to its end with our own input and outputs; its exit status, 127 when it is not
/// installed.
int run(const std::vector<std::string>& command);

/// Runs systemctl, which says itself what went wrong. Throws `failure` when something did.
void systemctl(std::vector<std::string> words);

/// The same, with what it prints on stdout, and on stderr if wanted.
captured capture(const std::vector<std::string>& command, bool with_errors = false);

/// Whether systemd runs here and has the unit.
bool unit_installed(const command_context& context);

/// A property of the unit, such as ActiveState.
std::string unit_property(const command_context& context, const std::string& name);

/// "phi-backend.socket" for "phi-backend.service".
std::string socket_unit(const command_context& context);

/// Throws `failure` with what to do instead: there is no unit to `verb`.
[[noreturn]] void no_unit(const command_context& context, const std::string& verb);

} // namespace phi::ctl
