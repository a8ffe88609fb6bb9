#include "server/admin/console.hpp"

#include "config/keys.hpp"
#include "protocol/platform/files.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/admin/doctor.hpp"
#include "server/api/question_reader.hpp"
#include "server/observe/metrics.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>

namespace phi {
namespace {

/// Where the answer to one question or one ingest request goes.
class console_reply : public reply_sink {
public:
  console_reply(std::function<void(query_answer)> then, std::vector<api::problem_detail> rejected)
    : then_(std::move(then)),
      rejected_(std::move(rejected)) {}

  void deliver(std::vector<ingest_answer> answers) noexcept override {
    for (const auto& [to, outcome] : answers) {
      if (outcome.error != error_code::none)
        then_({outcome.error, "try again in " + std::to_string(outcome.retry_after_s) + " s", {}});
      else
        then_({.body = api::ingest_json(outcome, rejected_)});
    }
  }
  void deliver(ticket, query_answer answer) noexcept override { then_(std::move(answer)); }

private:
  std::function<void(query_answer)> then_;
  std::vector<api::problem_detail> rejected_;
};

shown_token shown(const api::token& token) {
  shown_token out{.id = token.id, .name = token.name, .created = format_rfc3339(token.created_us)};
  for (auto granted : token.scopes)
    out.scopes.emplace_back(api::to_string(granted));
  if (token.expires_us)
    out.expires = format_rfc3339(*token.expires_us);
  out.expired = token.expired(wall_clock_us());
  return out;
}

std::set<std::string> as_set(std::vector<std::string> names) {
  return {names.begin(), names.end()};
}

} // namespace

std::string console::log_level() const {
  return log_.level_name();
}

outcome console::set_log_level(const std::string& level) {
  auto parsed = parse_log_level(level);
  if (!parsed)
    return outcome::failure("level \"" + level
                            + "\" is not one of trace, debug, info, warn, error");
  log_.set_level(*parsed);
  return {};
}

outcome console::trace_on(bool to_log, std::vector<std::string> actors,
                          std::vector<std::string> messages, bool user_data) {
  return trace_.on({.to_log = to_log},
                   {as_set(std::move(actors)), as_set(std::move(messages)), user_data});
}

std::vector<shown_setting> console::settings() const {
  auto in_effect = process_.settings();
  auto origins = process_.origins();
  auto limits = process_.unit_limits();
  auto addresses = listeners();
  std::vector<shown_setting> out;
  for (const auto& key : all_keys()) {
    std::string path{key.path};
    shown_setting setting{path, show_value(key, *in_effect), origins.at(path)};
    // What is in effect is where it really listens.
    auto colon = addresses.empty() ? std::string::npos : addresses[0].rfind(':');
    if (limits && !limits->socket.empty() && colon != std::string::npos
        && (path == "server.host" || path == "server.port")) {
      setting.value = path == "server.port" ? addresses[0].substr(colon + 1)
                                            : "\"" + addresses[0].substr(0, colon) + "\"";
      setting.origin = limits->socket;
    }
    out.push_back(std::move(setting));
  }
  return out;
}

result<settings_difference> console::difference() const {
  auto [accepted, loaded, merged] = source_.consider(*process_.settings());
  if (!accepted)
    return accepted;
  return settings_difference{.live = std::move(merged.changed),
                             .needs_restart = std::move(merged.needs_restart)};
}

std::vector<finding> console::examine(const std::optional<service_status>& status) const {
  auto settings = process_.settings();
  auto next = source_.consider(*settings);
  return examine_service({.settings = std::move(settings),
                          .origins = process_.origins(),
                          .next = std::move(next),
                          .unit = process_.unit_limits(),
                          .health = health(),
                          .status = status});
}

std::string console::metrics(const std::optional<service_status>& status,
                             metrics_format format) const {
  return write_metrics({.status = status,
                        .health = health(),
                        .http = views_.http_counts_now(),
                        .loops = views_.loops_alive(),
                        .process = usage_of_process(),
                        .life = process_.life(),
                        .settings = process_.settings(),
                        .started_us = started_us_},
                       format);
}

void console::ask(const std::string& path, const std::string& query_string, gone_flag asker_gone,
                  std::function<void(query_answer)> then) {
  const auto* endpoint = api::find_question(path);
  if (!endpoint)
    return then({error_code::not_found, "there is no question " + path, {}});
  const auto& stats = process_.settings()->stats;
  auto read = api::read_question(*endpoint, query_string, {stats.timezone, stats.max_range_days});
  if (!read.errors.empty())
    return then(
      {error_code::invalid_query, read.errors[0].pointer + ": " + read.errors[0].message, {}});
  ask(operator_question{std::move(read.query)}, std::move(asker_gone), std::move(then));
}

void console::ask(operator_question question, gone_flag asker_gone,
                  std::function<void(query_answer)> then) {
  query_reply reply{
    std::make_shared<console_reply>(std::move(then), std::vector<api::problem_detail>{}), 0};
  std::visit(
    [&]<class Question>(Question& asked_for) {
      backend_->ask(std::make_shared<asked<Question>>(std::move(asked_for), std::move(reply),
                                                      std::move(asker_gone)));
    },
    question);
}

void console::ingest(std::string_view lines, std::function<void(query_answer)> then) {
  reader_.set_limits(api::event_limits_of(*process_.settings()));
  auto read = reader_.read_ndjson(lines, wall_clock_us());
  if (read.error != error_code::none)
    return then({read.error, read.detail, {}});
  ingest_request request{.rejected = static_cast<uint32_t>(read.rejected.size())};
  request.awaited = !read.events.empty();
  request.hold(std::move(read.events));
  if (!request.awaited)
    then({.body = api::ingest_json({}, read.rejected)});
  auto sink = std::make_shared<console_reply>(std::move(then), std::move(read.rejected));
  auto turn = std::make_shared<ingest_turn>(std::move(sink));
  turn->requests.push_back(std::move(request));
  backend_->submit(std::move(turn));
}

result<created_token> console::create_token(const std::string& name,
                                            const std::vector<std::string>& scopes,
                                            std::optional<int64_t> seconds, bool confirmed) {
  if (auto named = api::check_token_name(name); !named)
    return named;
  std::vector<scope> wanted;
  for (const auto& text : scopes) {
    auto scope = api::parse_scope(text);
    if (!scope)
      return outcome::failure("scope \"" + text + "\" is not one of ingest, read, admin");
    if (std::find(wanted.begin(), wanted.end(), *scope) == wanted.end())
      wanted.push_back(*scope);
  }
  if (wanted.empty())
    return outcome::failure("a token needs a scope: ingest, read or admin");
  std::optional<int64_t> expires;
  if (seconds)
    expires = wall_clock_us() + *seconds * 1'000'000;
  bool first = !tokens_->needed() && process_.settings()->auth.token.empty();
  if (first && !confirmed && tokens_->anonymous() > 0)
    return outcome::failure(
      std::to_string(tokens_->anonymous())
      + " requests have come without a token; from the first token on such requests"
        " are refused with 401, also when all tokens are revoked: to go back, stop the service and"
        " remove tokens.json from its state directory. Confirm it (phictl: --yes) when your clients"
        " can have theirs");
  auto made = tokens_->create(name, std::move(wanted), expires);
  if (!made)
    return outcome::failure(made.why());
  created_token out{made->secret, shown(made->kept), {}};
  if (first) {
    out.notice = "this is the first token: from now on requests without a token are refused with"
                 " 401, also when it is revoked or has expired";
    log_warn("http", "asks for tokens from now on");
  }
  return out;
}

std::vector<shown_token> console::tokens() const {
  std::vector<shown_token> out;
  for (const auto& token : *tokens_->all())
    out.push_back(shown(token));
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
