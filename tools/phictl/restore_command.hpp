#pragma once
/// `phictl restore`: a backup takes the place of the database, while the service does not run.

#include "tools/phictl/context.hpp"

#include <string>

namespace phi::ctl {

/// Where to; empty: the usual place.
struct restore_words {
  std::string state_directory;
  std::string database; ///< instead of the one that the service had at its last start
  std::string config;   ///< names the database where the service never ran
};

void restore(const command_context& context, const std::string& file, const restore_words& words);

} // namespace phi::ctl
