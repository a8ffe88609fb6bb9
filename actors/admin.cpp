#include "actors/admin.hpp"

#include "actors/admin_methods.hpp"
#include "config/defaults.hpp"
#include "protocol/text/json_depth.hpp"

namespace phi {
namespace {

using namespace admin;

std::string method_names() {
  std::string out;
  for (const auto& known : methods())
    out += (out.empty() ? "" : ", ") + std::string{known.name};
  return out;
}

/// A parameter that cannot be meant is the caller's fault, not ours.
void run(self_ptr self, const method& known, const admin_call& call) {
  try {
    known.run(self, call);
  } catch (const wrong_param& e) {
    call.fail(admin_wire::invalid_params, e.what());
  } catch (const json::exception& e) {
    call.fail(admin_wire::invalid_params, e.what());
  }
}

void handle(self_ptr self, const admin_request_ptr& request) {
  ++self->state.requests;
  if (nests_deeper(request->line))
    return admin_call{request, nullptr, {}}.fail(admin_wire::parse_error,
                                                 "the line nests deeper than "
                                                   + std::to_string(max_json_depth) + " levels");
  auto line = json::parse(request->line, nullptr, false);
  if (line.is_discarded())
    return admin_call{request, nullptr, {}}.fail(admin_wire::parse_error,
                                                 "the line is not valid JSON");
  auto id = line.is_object() && line.contains("id") ? line["id"] : json{};
  if (!line.is_object() || line.value("jsonrpc", json{}) != "2.0" || !line.contains("method")
      || !line["method"].is_string())
    return admin_call{request, id, {}}.fail(admin_wire::invalid_request,
                                            R"(expected {"jsonrpc":"2.0","id":1,"method":"..."})");
  admin_call call{request, id, line.value("params", json::object())};
  if (!call.params.is_object())
    return call.fail(admin_wire::invalid_params, "params must be an object");
  auto name = line["method"].get<std::string>();
  for (const auto& known : methods())
    if (known.name == name)
      return run(self, known, call);
  call.fail(admin_wire::method_not_found,
            "method \"" + name + "\" is not one of " + method_names());
}

/// Also when the supervisor is silent: then without the actors.
void answer(self_ptr self, const asked_ptr<service_query>& asked, const metrics_query& query) {
  auto answer = [self, asked, format = query.format](const std::optional<service_status>& status) {
    asked->reply.answer({.body = self->state.console->metrics(status, format)});
  };
  ask_urgent(
    self, self->state.who.supervisor, defaults::service_status_timeout,
    [answer](const service_status& status) { answer(status); },
    [answer](const caf::error&) { answer(std::nullopt); }, atom::status_v);
}

void answer(self_ptr self, const asked_ptr<service_query>& asked, const lifecycle_query& query) {
  asked->reply.answer({.body = self->state.console->lifecycle(query.format)});
}

} // namespace

admin_actor::behavior_type admin_behavior(self_ptr self, child_identity who,
                                          console_port_ptr console,
                                          std::function<outcome(admin_actor)> attach) {
  set_up_child(self, std::move(who));
  self->state.console = std::move(console);
  auto attached = attach(admin_actor{self});
  if (!attached)
    fail_to_start(self, attached.why());
  return handlers(
    self,
    [self](atom::stop, const stop_order&) {
      fault_point("admin.stop");
      self->state.stopping = true;
    },
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
      return status_of(self, {.doing = "idle",
                              .idle = true,
                              .progress = state.requests,
                              .gauges = {{"requests", state.requests}}});
    },
    [self](atom::apply, const config_ptr&) { return pong_of(self->state.who); },
    [self](atom::command, const admin_request_ptr& request) { handle(self, request); },
    [self](atom::ask, const asked_ptr<service_query>& asked) {
      std::visit([&](const auto& query) { answer(self, asked, query); }, asked->question);
    });
}

} // namespace phi
