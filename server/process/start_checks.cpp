#include "server/process/start_checks.hpp"

#include "server/api/tokens.hpp"
#include "server/platform/groups.hpp"
#include "server/platform/listener.hpp"

namespace phi {

std::vector<std::string> what_would_end_a_start(const config& settings,
                                                const std::optional<systemd::unit_limits>& unit) {
  std::vector<std::string> out;
  auto add = [&](const std::string& why) {
    if (!why.empty())
      out.push_back(why);
  };
  if (!unit || unit->socket.empty()) // any port will do: the service that runs has its own
    add(open_listener(settings.server.host, 0).why());
  // What another user may is not seen from here; systemd::examine_group looks at the unit.
  add(unit ? check_group_exists(settings.admin.group).why()
           : check_admin_group(settings.admin.group).why());
  add(api::token_book{settings.resolved.state_dir + "/tokens.json"}.loaded().why());
  return out;
}

} // namespace phi
