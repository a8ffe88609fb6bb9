#include "server/process/settings_source.hpp"

#include "server/api/client_address.hpp"
#include "server/observe/logging.hpp"
#include "server/statistics/time_zones.hpp"
#include "server/store/postgres/url.hpp"

#include <cstdlib>
#include <stdexcept>

namespace phi {
namespace {

std::vector<config_problem> check_with_libraries(const config& settings) {
  std::vector<config_problem> problems;
  const auto& zone = settings.stats.timezone;
  if (zone.empty()) {
    problems.push_back({"stats.timezone is empty; give a name such as Europe/Berlin"});
  } else if (!is_time_zone(zone)) {
    auto best = closest_time_zone(zone);
    problems.push_back(
      {"stats.timezone = \"" + zone + "\" is no IANA time zone"
       + (best.empty() ? "; Europe/Berlin is one" : "; did you mean " + best + "?")});
  }
  try {
    api::trusted_proxies{settings.server.trusted_proxies};
  } catch (const std::invalid_argument& e) {
    problems.push_back({e.what()});
  }
  const auto& url = settings.stats.postgres_url;
  if (settings.resolved.storage == storage_kind::postgres && !url.empty())
    if (auto readable = store::check_postgres_url(url.value); !readable)
      problems.push_back({readable.why()});
  return problems;
}

} // namespace

loaded_config settings_source::load() const {
  auto loaded = load_config(file_, process_environment());
  if (loaded.ok()) {
    loaded.problems = check_with_libraries(loaded.values);
    name_origins(loaded);
  }
  const auto& url = loaded.values.stats.postgres_url.value;
  if (loaded.ok() && loaded.values.resolved.storage == storage_kind::postgres
      && !store::url_value(url, "connect_timeout").empty())
    loaded.warnings.push_back("stats.postgres_url has a connect_timeout, which has no effect:"
                              " stats.postgres_connect_timeout_secs holds for all its hosts");
  if (const char* wish = std::getenv("PHI_LOG"); wish && *wish && !parse_log_level(wish))
    loaded.warnings.push_back("PHI_LOG=" + std::string{wish}
                              + " is not one of trace, debug, info, warn, error; goes on with"
                                " logging.level");
  return loaded;
}

considered_settings settings_source::consider(const config& running) const {
  considered_settings out{.loaded = load()};
  out.merged = merge(running, out.loaded.values);
  auto problems = out.loaded.problems;
  if (out.loaded.ok())
    problems = check_config(out.merged.next);
  std::string text;
  for (const auto& problem : problems)
    text += (text.empty() ? "" : "\n") + problem.text;
  if (!problems.empty())
    out.accepted = outcome::failure(std::move(text));
  return out;
}

log_level level_of(const config& settings) {
  const char* wish = std::getenv("PHI_LOG");
  if (wish && *wish)
    if (auto level = parse_log_level(wish))
      return *level;
  return parse_log_level(settings.logging.level).value_or(log_level::info);
}

} // namespace phi
