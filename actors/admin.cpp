#include "actors/admin.hpp"

#include "actors/status_json.hpp"
#include "config/defaults.hpp"

#include <array>
#include <nlohmann/json.hpp>

namespace phi {
namespace {

using self_ptr = admin_actor::stateful_pointer<admin_state>;
using json = nlohmann::ordered_json;

std::string answer_line(const json& id, json result) {
  return json{{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}}.dump();
}

std::string error_line(const json& id, int code, const std::string& message) {
  return json{{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", code}, {"message", message}}}}
    .dump();
}

/// One request under way.
struct call {
  admin_request_ptr request;
  json id;
  json params;

  void answer(json result) const { request->answer(answer_line(id, std::move(result))); }
  void fail(int code, const std::string& why) const { request->answer(error_line(id, code, why)); }
};

void tell_status(self_ptr self, const call& now) {
  ask_urgent(
    self, self->state.who.supervisor, defaults::service_status_timeout,
    [now](const service_status& status) {
      auto result = to_json(status);
      result["version"] = PHI_VERSION;
      now.answer(std::move(result));
    },
    [now](const caf::error&) {
      now.fail(admin_wire::internal_error, "the supervisor does not answer");
    },
    atom::status_v);
}

void stop_service(self_ptr self, const call& now) {
  auto text = now.params.value("mode", std::string{"graceful"});
  auto mode = parse_stop_mode(text);
  if (!mode)
    return now.fail(admin_wire::invalid_params,
                    "mode \"" + text + "\" is not one of lame-duck, graceful, fast, immediate");
  now.answer({{"accepted", true}, {"mode", to_string(*mode)}});
  tell_urgent(self, self->state.who.supervisor, atom::terminate_v, *mode, stop_reason::admin);
}

void set_lame_duck(self_ptr self, const call& now, bool on) {
  now.answer({{"accepted", true}});
  tell_urgent(self, self->state.who.supervisor, atom::lame_duck_v, on);
}

void reload(self_ptr self, const call& now) {
  ask_urgent(
    self, self->state.who.supervisor, defaults::reload_timeout,
    [now](const reload_report& report) {
      if (!report.ok())
        return now.fail(admin_wire::refused, report.error);
      now.answer({{"changed", report.changed},
                  {"needsRestart", report.needs_restart},
                  {"warnings", report.warnings}});
    },
    [now](const caf::error&) {
      now.fail(admin_wire::internal_error, "the reload is not over yet; see the log");
    },
    atom::reload_v);
}

struct method {
  std::string_view name;
  void (*run)(self_ptr, const call&);
};

constexpr std::array methods{
  method{admin_wire::method_status, tell_status},
  method{admin_wire::method_stop, stop_service},
  method{admin_wire::method_drain,
         [](self_ptr self, const call& now) { set_lame_duck(self, now, true); }},
  method{admin_wire::method_undrain,
         [](self_ptr self, const call& now) { set_lame_duck(self, now, false); }},
  method{admin_wire::method_reload, reload},
};

std::string method_names() {
  std::string out;
  for (const auto& known : methods)
    out += (out.empty() ? "" : ", ") + std::string{known.name};
  return out;
}

void obey(self_ptr self, const admin_request_ptr& request) {
  ++self->state.requests;
  auto line = json::parse(request->line, nullptr, false);
  if (line.is_discarded())
    return request->answer(
      error_line(nullptr, admin_wire::parse_error, "the line is not valid JSON"));
  auto id = line.is_object() && line.contains("id") ? line["id"] : json{};
  if (!line.is_object() || line.value("jsonrpc", json{}) != "2.0" || !line.contains("method")
      || !line["method"].is_string())
    return request->answer(error_line(id, admin_wire::invalid_request,
                                      R"(expected {"jsonrpc":"2.0","id":1,"method":"..."})"));
  call now{request, id, line.value("params", json::object())};
  if (!now.params.is_object() || (now.params.contains("mode") && !now.params["mode"].is_string()))
    return now.fail(admin_wire::invalid_params, "params must be an object of texts");
  auto name = line["method"].get<std::string>();
  for (const auto& known : methods)
    if (known.name == name)
      return known.run(self, now);
  now.fail(admin_wire::method_not_found, "method \"" + name + "\" is not one of " + method_names());
}

} // namespace

admin_actor::behavior_type admin_behavior(self_ptr self, child_identity who,
                                          std::function<std::string(admin_actor)> attach) {
  set_up_child(self, std::move(who));
  auto trouble = attach(admin_actor{self});
  if (!trouble.empty())
    fail_to_start(self, trouble);
  return handlers(
    self, [](atom::stop, const stop_order&) { fault_point("admin.stop"); },
    [self](atom::release, const release_order&) {
      fault_point("admin.release");
      leave(self, {.did = {{"requests", self->state.requests}}});
    },
    [self](atom::ping) {
      fault_point("admin.ping");
      return pong_of(self->state.who);
    },
    [self](atom::status) {
      const auto& state = self->state;
      return actor_status{.actor = state.who.name,
                          .doing = "idle",
                          .progress = state.requests,
                          .gauges = {{"requests", state.requests}}};
    },
    [self](atom::adopt, const config_ptr&) { return pong_of(self->state.who); },
    [self](atom::command, const admin_request_ptr& request) { obey(self, request); });
}

} // namespace phi
