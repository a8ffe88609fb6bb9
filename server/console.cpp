#include "server/console.hpp"

#include "config/keys.hpp"
#include "config/merge.hpp"
#include "server/systemd/budget_doctor.hpp"

#include <chrono>
#include <filesystem>
#include <set>
#include <sys/resource.h>
#include <unistd.h>

namespace phi {
namespace {

using verdict = examined::verdict;

std::set<std::string> as_set(std::vector<std::string> names) {
  return {names.begin(), names.end()};
}

std::string in_mib(uintmax_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

examined look_at_disk(const config& settings) {
  std::error_code error;
  auto space = std::filesystem::space(settings.resolved.state_dir, error);
  if (error)
    return {"disk", verdict::bad,
            "cannot look at " + settings.resolved.state_dir + ": " + error.message(),
            "see server.state_dir"};
  auto text = in_mib(space.available) + " free for " + settings.resolved.state_dir;
  constexpr uintmax_t little = uintmax_t{1} << 30;
  if (space.available < little)
    return {"disk", verdict::warning, text, "make room: below that commits begin to fail"};
  return {"disk", verdict::ok, text, ""};
}

examined look_at_permissions(const config& settings) {
  const auto& dir = settings.resolved.state_dir;
  if (::access(dir.c_str(), R_OK | W_OK | X_OK) != 0)
    return {"permissions", verdict::bad, "may not write to " + dir,
            "give the service's user the right to write there"};
  std::error_code error;
  auto rights = std::filesystem::status(dir, error).permissions();
  using std::filesystem::perms;
  if ((rights & (perms::others_read | perms::others_exec)) != perms::none)
    return {"permissions", verdict::warning, dir + " can be read by everybody",
            "chmod 0700 " + dir};
  return {"permissions", verdict::ok, dir + " is writable, and ours alone", ""};
}

examined look_at_database(const config& settings) {
  std::error_code error;
  const auto& file = settings.resolved.sqlite_path;
  auto size = std::filesystem::file_size(file, error);
  if (error)
    return {"database", verdict::bad, file + ": " + error.message(), "see stats.sqlite_path"};
  auto log = std::filesystem::file_size(file + "-wal", error);
  auto text = file + " has " + in_mib(size);
  if (!error && log > size && log > uintmax_t{256} << 20)
    return {"database", verdict::warning, text + ", its write-ahead log " + in_mib(log),
            "a long-running reader keeps it from being cut back; see who has the file open"};
  return {"database", verdict::ok, text, ""};
}

examined look_at_clock() {
  using namespace std::chrono;
  auto year = static_cast<int>(year_month_day{floor<days>(system_clock::now())}.year());
  if (year < 2024)
    return {"clock", verdict::bad, "the clock says " + std::to_string(year),
            "set the time; events without one get ours"};
  return {"clock", verdict::ok, "the clock says " + std::to_string(year), ""};
}

examined look_at_files(const config& settings) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  auto needed = static_cast<rlim_t>(settings.server.max_connections) + 64;
  auto text = std::to_string(limit.rlim_cur) + " open files allowed, server.max_connections is "
              + std::to_string(settings.server.max_connections);
  if (limit.rlim_cur < needed)
    return {"file limit", verdict::bad, text,
            "raise LimitNOFILE= to " + std::to_string(needed) + " or lower server.max_connections"};
  return {"file limit", verdict::ok, text, ""};
}

} // namespace

std::string console::log_level() const {
  return log_.level_name();
}

std::string console::set_log_level(const std::string& level) {
  auto parsed = parse_log_level(level);
  if (!parsed)
    return "level \"" + level + "\" is not one of trace, debug, info, warn, error";
  log_.set_level(*parsed);
  return {};
}

std::string console::trace_on(bool to_log, std::vector<std::string> actors,
                              std::vector<std::string> messages, bool user_data) {
  return trace_.on(to_log ? "1" : "",
                   {as_set(std::move(actors)), as_set(std::move(messages)), user_data});
}

std::vector<shown_setting> console::settings() const {
  auto in_effect = process_.settings();
  auto origins = process_.origins();
  std::vector<shown_setting> out;
  for (const auto& key : all_keys())
    out.push_back(
      {std::string{key.path}, show_value(key, *in_effect), origins.at(std::string{key.path})});
  return out;
}

settings_difference console::difference() const {
  auto loaded = source_.load();
  settings_difference out;
  for (const auto& problem : loaded.problems)
    out.error += (out.error.empty() ? "" : "\n") + problem.text;
  if (!loaded.ok())
    return out;
  auto merged = merge(*process_.settings(), loaded.values);
  out.live = std::move(merged.changed);
  out.needs_restart = std::move(merged.needs_restart);
  return out;
}

std::vector<examined> console::examine() const {
  auto settings = process_.settings();
  std::vector<examined> out{look_at_permissions(*settings), look_at_disk(*settings),
                            look_at_database(*settings), look_at_clock(), look_at_files(*settings)};
  auto limits = process_.unit_limits();
  if (!limits)
    out.push_back({"budgets", verdict::ok, "no service manager has time-outs for us", ""});
  else if (auto findings = systemd::examine_budgets(*settings, *limits); findings.empty())
    out.push_back({"budgets", verdict::ok, "the time-outs of " + limits->unit + " fit", ""});
  else
    for (const auto& finding : findings) {
      auto mend = finding.text.rfind("; ");
      out.push_back({"budgets", verdict::warning, finding.text.substr(0, mend),
                     mend == finding.text.npos ? "" : finding.text.substr(mend + 2)});
    }
  return out;
}

double console::processor_ms(int thread) const {
  auto times = watch_.times_of(thread);
  return times ? std::chrono::duration<double, std::milli>(times->ran).count() : -1;
}

std::string console::state_directory() const {
  return std::filesystem::absolute(process_.settings()->resolved.state_dir).string();
}

} // namespace phi
