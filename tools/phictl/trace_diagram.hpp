#pragma once
/// A stop, as a Mermaid sequence diagram.

#include <string>
#include <vector>

namespace phi::ctl {

/// The lines of the stop in a trace file of the service. Throws `failure` when the file is no such
/// trace or has no stop in it.
std::vector<std::string> stop_diagram(const std::string& file);

} // namespace phi::ctl
