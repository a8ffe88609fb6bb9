#pragma once
/// A stop, as a Mermaid sequence diagram.

#include <string>

namespace phi::ctl {

/// The stop in a trace file of the service. Throws `failure` when the file is no such trace or has
/// no stop in it.
std::string stop_diagram(const std::string& file);

} // namespace phi::ctl
