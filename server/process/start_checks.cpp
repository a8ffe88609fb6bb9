#include "server/process/start_checks.hpp"

#include "protocol/state_files.hpp"
#include "server/api/tokens.hpp"
#include "server/platform/groups.hpp"
#include "server/platform/listener.hpp"

namespace phi {

std::vector<outcome> failing_start_checks(const config& settings,
                                          const std::optional<systemd::unit_limits>& unit) {
  std::vector<outcome> out;
  auto check = [&](outcome done) {
    if (!done)
      out.push_back(std::move(done));
  };
  if (!unit || unit->socket.empty()) // any port will do: the service that runs has its own
    if (auto opened = open_listener(settings.server.host, 0); !opened)
      check(outcome::failure(opened.why()));
  // What another user may is not seen from here; systemd::examine_group looks at the unit.
  check(unit ? check_group_exists(settings.admin.group) : check_admin_group(settings.admin.group));
  check(
    api::token_store{state_files::path(settings.resolved.state_dir, state_files::tokens)}.loaded());
  return out;
}

} // namespace phi
