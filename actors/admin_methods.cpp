#include "actors/admin_methods.hpp"

#include "actors/status_json.hpp"
#include "config/defaults.hpp"
#include "protocol/platform/process.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

namespace phi::admin {
namespace {

/// Of numbers that have no bound of their own.
constexpr int64_t any_number = std::numeric_limits<int64_t>::max();
/// Of events that are shown at once.
constexpr int64_t most_events = 1000;

void answer_status(self_ptr self, const admin_call& call) {
  ask_urgent(
    self, self->state.who.supervisor, defaults::service_status_timeout,
    [self, call](const service_status& status) {
      auto result = to_json(status);
      result["version"] = PHI_VERSION;
      result["pid"] = process_id();
      result["runId"] = self->state.console->run_id();
      result["stateDirectory"] = self->state.console->state_directory();
      if (auto id = self->state.console->database_id(); !id.empty())
        result["databaseId"] = std::move(id);
      for (auto& actor : result["actors"])
        if (actor.contains("says"))
          actor["says"]["processorMs"] =
            self->state.console->processor_ms(actor["says"].value("thread", 0));
      result["listeners"] = self->state.console->listeners();
      call.answer(std::move(result));
    },
    [call](const caf::error&) {
      call.fail(admin_wire::internal_error, "the supervisor does not answer");
    },
    atom::status_v);
}

void stop_service(self_ptr self, const admin_call& call) {
  auto text = call.text("mode", "graceful");
  auto mode = parse_stop_mode(text);
  if (!mode)
    return call.fail(admin_wire::invalid_params,
                     "mode \"" + text + "\" is not one of lame-duck, graceful, fast, immediate");
  call.answer({{"accepted", true},
               {"mode", to_string(*mode)},
               {"pid", process_id()},
               {"runId", self->state.console->run_id()},
               {"stateDirectory", self->state.console->state_directory()}});
  tell_urgent(self, self->state.who.supervisor, atom::terminate_v, *mode, stop_reason::admin);
}

void set_lame_duck(self_ptr self, const admin_call& call, bool on) {
  if (self->state.stopping)
    return call.fail(admin_wire::refused, "the service is stopping");
  call.answer({{"accepted", true}});
  tell_urgent(self, self->state.who.supervisor, atom::lame_duck_v, on);
}

void reload(self_ptr self, const admin_call& call) {
  ask_urgent(
    self, self->state.who.supervisor, defaults::reload_timeout,
    [call](const reload_report& report) {
      if (!report.accepted)
        return call.fail(admin_wire::refused, report.accepted.why());
      call.answer({{"changed", report.changed},
                   {"needsRestart", report.needs_restart},
                   {"warnings", report.warnings}});
    },
    [call](const caf::error&) {
      call.fail(admin_wire::internal_error, "the reload is not over yet; see the log");
    },
    atom::reload_v);
}

void answer_plan(self_ptr self, const admin_call& call) {
  ask_urgent(
    self, self->state.who.supervisor, defaults::service_status_timeout,
    [call](const stop_forecast& forecast) { call.answer(to_json(forecast)); },
    [call](const caf::error&) {
      call.fail(admin_wire::internal_error, "the supervisor does not answer");
    },
    atom::plan_v);
}

void answer_health(self_ptr self, const admin_call& call) {
  auto view = self->state.console->health();
  auto codes = json::array();
  for (const auto& cause : view.causes) {
    codes.push_back(
      {{"part", cause.part.empty() ? cause.who : cause.part}, {"kind", to_string(cause.kind)}});
    if (cause.code != ailment::none)
      codes.back()["code"] = to_string(cause.code);
  }
  call.answer({{"status", view.degraded() ? "degraded" : "ok"},
               {"causes", texts_of(view.causes, true)},
               {"causeCodes", std::move(codes)},
               {"refusesEvents", view.refuses_events}});
}

void dump_state(self_ptr self, const admin_call& call) {
  tell_urgent(self, self->state.who.supervisor, atom::dump_v);
  call.answer({{"accepted", true}});
}

void log_level_of(self_ptr self, const admin_call& call) {
  auto& console = *self->state.console;
  auto before = console.log_level();
  auto wanted = call.text("level");
  if (auto set = wanted.empty() ? outcome{} : console.set_log_level(wanted); !set)
    return call.fail(admin_wire::invalid_params, set.why());
  call.answer({{"level", console.log_level()}, {"before", before}});
}

void trace_on(self_ptr self, const admin_call& call) {
  auto traces = self->state.console->trace_on(call.flag("log"), call.texts("actors"),
                                              call.texts("messages"), call.flag("userData"));
  if (!traces)
    return call.fail(admin_wire::refused, traces.why());
  call.answer({{"tracing", true}});
}

void trace_off(self_ptr self, const admin_call& call) {
  self->state.console->trace_off();
  call.answer({{"tracing", false}});
}

void read_trace(self_ptr self, const admin_call& call) {
  // A quarter of a line's limit: quoting makes it longer, up to twice, and there is more in it.
  auto from = static_cast<uint64_t>(call.whole("from", 0, any_number).value_or(0));
  auto page = self->state.console->read_trace(from, admin_wire::max_line_bytes / 4);
  json out{{"lines", page.lines}, {"dropped", page.dropped}};
  if (page.next)
    out["next"] = *page.next;
  call.answer(std::move(out));
}

void show_settings(self_ptr self, const admin_call& call) {
  json rows = json::array();
  for (const auto& setting : self->state.console->settings())
    rows.push_back({{"key", setting.path}, {"value", setting.value}, {"origin", setting.origin}});
  call.answer({{"settings", std::move(rows)}});
}

void show_difference(self_ptr self, const admin_call& call) {
  auto found = self->state.console->difference();
  if (!found)
    return call.fail(admin_wire::refused, found.why());
  call.answer({{"live", found->live}, {"needsRestart", found->needs_restart}});
}

json to_json(const finding& found) {
  json out{{"what", found.subject}, {"verdict", to_string(found.verdict)}};
  if (found.code != finding_code::none)
    out["code"] = to_string(found.code);
  out["text"] = found.text;
  out["remedy"] = found.remedy;
  return out;
}

void answer_findings(self_ptr self, const admin_call& call,
                     const std::optional<service_status>& status) {
  json rows = json::array();
  for (const auto& found : self->state.console->examine(status))
    rows.push_back(to_json(found));
  call.answer({{"examined", std::move(rows)}});
}

void examine(self_ptr self, const admin_call& call) {
  ask_urgent(
    self, self->state.who.supervisor, defaults::service_status_timeout,
    [self, call](const service_status& status) { answer_findings(self, call, status); },
    [self, call](const caf::error&) { answer_findings(self, call, std::nullopt); }, atom::status_v);
}

/// The answer of the database, which has its own JSON.
std::function<void(query_answer)> passed_on(const admin_call& call) {
  return [call](const query_answer& answer) {
    call.request->file = answer.file;
    if (answer.error == error_code::none)
      return call.answer(json::parse(answer.body, nullptr, false));
    auto status = facts(answer.error).http_status;
    call.fail(status == 503   ? admin_wire::try_again
              : status == 413 ? admin_wire::too_much
                              : admin_wire::refused,
              std::string{facts(answer.error).title}
                + (answer.detail.empty() ? "" : ": " + answer.detail));
  };
}

void show_lifecycle(self_ptr self, const admin_call& call) {
  call.answer(json::parse(self->state.console->lifecycle("json")));
}

void ask(self_ptr self, const admin_call& call) {
  self->state.console->ask(call.text("path"), call.text("query"), call.request->asker_gone,
                           passed_on(call));
}

void ask_operator_question(self_ptr self, const admin_call& call, operator_question question) {
  self->state.console->ask(std::move(question), call.request->asker_gone, passed_on(call));
}

void answer_events(self_ptr self, const admin_call& call) {
  recent_events_query query{
    .limit = static_cast<uint32_t>(call.whole("limit", 1, most_events).value_or(100))};
  query.after = call.whole("after", 0, any_number);
  query.over_gaps = call.flag("overGaps");
  if (auto feature = call.text("feature"); !feature.empty())
    query.feature = feature;
  ask_operator_question(self, call, reader_query{std::move(query)});
}

/// Made in the state directory, the only place where the service may write; the asker gets it open.
void back_up(self_ptr self, const admin_call& call) {
  auto file = self->state.console->state_directory() + "/backup-"
              + std::to_string(++self->state.backups) + ".db.part";
  std::remove(file.c_str()); // of an earlier process that did not get to its end
  ask_operator_question(self, call, inspection_task{backup_task{file}});
}

/// A question without parameters.
template <class Question, class Task>
void ask_without_params(self_ptr self, const admin_call& call) {
  ask_operator_question(self, call, Question{Task{}});
}

void check_spool(self_ptr self, const admin_call& call) {
  ask_operator_question(self, call,
                        spool_task{spool_check{.forget_missing = call.flag("forgetMissing")}});
}

void steer(self_ptr self, const admin_call& call) {
  auto state = call.text("state");
  auto wish = parse_instance_wish(state);
  if (!wish)
    return call.fail(admin_wire::invalid_params,
                     "state \"" + state + "\" is not one of drain, ready");
  ask_operator_question(self, call, cluster_task{steer_instance{call.text("instance"), *wish}});
}

void forget(self_ptr self, const admin_call& call) {
  ask_operator_question(self, call, cluster_task{forget_instance{call.text("instance")}});
}

void give_slot(self_ptr self, const admin_call& call) {
  ask_operator_question(self, call, cluster_task{give_restart_slot{call.text("instance")}});
}

void ingest(self_ptr self, const admin_call& call) {
  self->state.console->ingest(call.text("lines"), passed_on(call));
}

json to_json(const shown_token& token) {
  json out{
    {"id", token.id}, {"name", token.name}, {"scopes", token.scopes}, {"created", token.created}};
  if (!token.expires.empty())
    out["expires"] = token.expires;
  out["expired"] = token.expired;
  return out;
}

void create_token(self_ptr self, const admin_call& call) {
  auto seconds = call.whole("expiresInSeconds", 1, admin_wire::longest_token_life_s);
  auto made = self->state.console->create_token(call.text("name"), call.texts("scopes"), seconds,
                                                call.flag("confirmed"));
  if (!made)
    return call.fail(admin_wire::invalid_params, made.why());
  log_info("admin", "creates a token", {{"id", made->kept.id}, {"name", made->kept.name}});
  auto out = to_json(made->kept);
  out["secret"] = made->secret;
  if (!made->notice.empty())
    out["notice"] = made->notice;
  call.answer(std::move(out));
}

void list_tokens(self_ptr self, const admin_call& call) {
  json rows = json::array();
  for (const auto& token : self->state.console->tokens())
    rows.push_back(to_json(token));
  call.answer({{"tokens", std::move(rows)}});
}

void revoke_token(self_ptr self, const admin_call& call) {
  auto id = call.text("id");
  if (auto revoked = self->state.console->revoke_token(id); !revoked)
    return call.fail(admin_wire::refused, revoked.why());
  log_info("admin", "revokes a token", {{"id", id}});
  call.answer({{"revoked", id}});
}

constexpr std::array table{
  method{admin_wire::method_status, answer_status},
  method{admin_wire::method_stop, stop_service},
  method{admin_wire::method_health, answer_health},
  method{admin_wire::method_plan, answer_plan},
  method{admin_wire::method_drain,
         [](self_ptr self, const admin_call& call) { set_lame_duck(self, call, true); }},
  method{admin_wire::method_undrain,
         [](self_ptr self, const admin_call& call) { set_lame_duck(self, call, false); }},
  method{admin_wire::method_reload, reload},
  method{admin_wire::method_dump, dump_state},
  method{admin_wire::method_log_level, log_level_of},
  method{admin_wire::method_trace_on, trace_on},
  method{admin_wire::method_trace_off, trace_off},
  method{admin_wire::method_trace_read, read_trace},
  method{admin_wire::method_config, show_settings},
  method{admin_wire::method_config_diff, show_difference},
  method{admin_wire::method_doctor, examine},
  method{admin_wire::method_ask, ask},
  method{admin_wire::method_lifecycle, show_lifecycle},
  method{admin_wire::method_events, answer_events},
  method{admin_wire::method_verify, ask_without_params<inspection_task, verify_task>},
  method{admin_wire::method_backup, back_up},
  method{admin_wire::method_ingest, ingest},
  method{admin_wire::method_spool, ask_without_params<spool_task, spool_show>},
  method{admin_wire::method_spool_fsck, check_spool},
  method{admin_wire::method_spool_replay, ask_without_params<spool_task, spool_requeue>},
  method{admin_wire::method_cluster, ask_without_params<reader_query, cluster_query>},
  method{admin_wire::method_cluster_want, steer},
  method{admin_wire::method_cluster_forget, forget},
  method{admin_wire::method_take_restart_slot, ask_without_params<cluster_task, take_restart_slot>},
  method{admin_wire::method_give_restart_slot, give_slot},
  method{admin_wire::method_take_turn, ask_without_params<cluster_task, take_restart_slot>},
  method{admin_wire::method_give_turn, give_slot},
  method{admin_wire::method_token_create, create_token},
  method{admin_wire::method_token_list, list_tokens},
  method{admin_wire::method_token_revoke, revoke_token},
};

} // namespace

void admin_call::answer(json result) const {
  std::exchange(request->answer,
                {})(json{{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}}.dump(
    -1, ' ', false, json::error_handler_t::replace));
}

void admin_call::fail(int code, const std::string& why) const {
  std::exchange(request->answer, {})(
    json{{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", code}, {"message", why}}}}.dump(
      -1, ' ', false, json::error_handler_t::replace));
}

namespace {

/// What was given, for an error: not much of it.
std::string shown(const json& given) {
  constexpr size_t enough = 40;
  auto text = given.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= enough ? text : text.substr(0, enough) + "...";
}

/// A whole number, however it is written (5, 5.0, 5e0), that fits into 64 bits.
std::optional<int64_t> whole_number(const json& given) {
  if (given.is_number_float()) {
    constexpr double exact = 9007199254740992; // 2^53: behind it the next number may be another
    auto number = given.get<double>();
    if (!(std::abs(number) <= exact) || number != std::trunc(number))
      return std::nullopt;
    return static_cast<int64_t>(number);
  }
  if (given.is_number_unsigned() && given.get<uint64_t>() > static_cast<uint64_t>(any_number))
    return std::nullopt;
  return given.is_number() ? std::optional{given.get<int64_t>()} : std::nullopt;
}

} // namespace

std::optional<int64_t> admin_call::whole(const char* name, int64_t least, int64_t most) const {
  if (!params.contains(name))
    return std::nullopt;
  auto number = whole_number(params[name]);
  if (!number || *number < least || *number > most)
    throw wrong_param{std::string{name} + " must be a whole number from " + std::to_string(least)
                      + " to " + std::to_string(most) + ", not " + shown(params[name])};
  return number;
}

bool admin_call::flag(const char* name) const {
  if (!params.contains(name))
    return false;
  if (!params[name].is_boolean())
    throw wrong_param{std::string{name} + " must be true or false, not " + shown(params[name])};
  return params[name].get<bool>();
}

std::string admin_call::text(const char* name, const std::string& missing) const {
  if (!params.contains(name))
    return missing;
  if (!params[name].is_string())
    throw wrong_param{std::string{name} + " must be a text, not " + shown(params[name])};
  return params[name].get<std::string>();
}

std::vector<std::string> admin_call::texts(const char* name) const {
  if (!params.contains(name))
    return {};
  const auto& given = params[name];
  if (!given.is_array() || !std::all_of(given.begin(), given.end(), [](const json& item) {
        return item.is_string();
      }))
    throw wrong_param{std::string{name} + " must be a list of texts, not " + shown(given)};
  return given.get<std::vector<std::string>>();
}

std::span<const method> methods() {
  return table;
}

} // namespace phi::admin
