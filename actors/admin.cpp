#include "actors/admin.hpp"

#include "actors/status_json.hpp"
#include "config/defaults.hpp"

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

void tell_status(self_ptr self, const admin_request_ptr& request, const json& id) {
  ask_urgent(
    self, self->state.who.supervisor, defaults::service_status_timeout,
    [request, id](const service_status& status) {
      auto result = to_json(status);
      result["version"] = PHI_VERSION;
      request->answer(answer_line(id, std::move(result)));
    },
    [request, id](const caf::error&) {
      request->answer(error_line(id, admin_wire::internal_error, "the supervisor does not answer"));
    },
    atom::status_v);
}

void stop_service(self_ptr self, const admin_request_ptr& request, const json& id,
                  const json& params) {
  auto text = params.value("mode", std::string{"graceful"});
  auto mode = parse_stop_mode(text);
  if (!mode)
    return request->answer(
      error_line(id, admin_wire::invalid_params,
                 "mode \"" + text + "\" is not one of lame-duck, graceful, fast, immediate"));
  request->answer(answer_line(id, {{"accepted", true}, {"mode", to_string(*mode)}}));
  tell_urgent(self, self->state.who.supervisor, atom::terminate_v, *mode, stop_reason::admin);
}

void obey(self_ptr self, const admin_request_ptr& request) {
  ++self->state.requests;
  auto call = json::parse(request->line, nullptr, false);
  if (call.is_discarded())
    return request->answer(
      error_line(nullptr, admin_wire::parse_error, "the line is not valid JSON"));
  auto id = call.is_object() && call.contains("id") ? call["id"] : json{};
  if (!call.is_object() || call.value("jsonrpc", json{}) != "2.0" || !call.contains("method")
      || !call["method"].is_string())
    return request->answer(error_line(id, admin_wire::invalid_request,
                                      R"(expected {"jsonrpc":"2.0","id":1,"method":"..."})"));
  auto params = call.value("params", json::object());
  if (!params.is_object() || (params.contains("mode") && !params["mode"].is_string()))
    return request->answer(
      error_line(id, admin_wire::invalid_params, "params must be an object of texts"));
  auto method = call["method"].get<std::string>();
  if (method == admin_wire::method_status)
    return tell_status(self, request, id);
  if (method == admin_wire::method_stop)
    return stop_service(self, request, id, params);
  request->answer(error_line(id, admin_wire::method_not_found,
                             "method \"" + method + "\" is not one of status, stop"));
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
    [self](atom::ping) { return pong_of(self->state.who); },
    [self](atom::status) {
      const auto& state = self->state;
      return actor_status{.actor = state.who.name,
                          .doing = "idle",
                          .progress = state.requests,
                          .gauges = {{"requests", state.requests}}};
    },
    [self](atom::command, const admin_request_ptr& request) { obey(self, request); });
}

} // namespace phi
