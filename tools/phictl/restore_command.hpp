#pragma once
/// `phictl restore`: a backup takes the place of the database, while the service does not run.

#include "tools/phictl/context.hpp"

#include <string>

namespace phi::ctl {

/// `state_directory`: empty: the usual one.
void restore(const context& with, const std::string& file, const std::string& state_directory);

} // namespace phi::ctl
