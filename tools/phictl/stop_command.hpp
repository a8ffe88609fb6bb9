#pragma once
/// `phictl stop` in all its shapes.

#include "tools/phictl/context.hpp"

#include <string>

namespace phi::ctl {

struct stop_wishes {
  std::string mode = "graceful";
  bool wait = false;
  bool dry_run = false;
};

void stop(const command_context& context, const stop_wishes& wishes);

} // namespace phi::ctl
