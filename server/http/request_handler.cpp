#include "server/http/request_handler.hpp"

#include "config/defaults.hpp"
#include "server/api/answer_format.hpp"
#include "server/http/access.hpp"
#include "server/http/ingest_body.hpp"
#include "server/http/limits.hpp"
#include "server/http/request_target.hpp"

namespace phi::http {
namespace {

decision problem(const exchange& to, error_code code, std::string_view detail = {},
                 const std::vector<api::problem_detail>& errors = {}) {
  return {.reply = problem_answer(to, code, detail, errors)};
}

decision at_once(int status, std::string body, std::string_view type = "application/json") {
  return {.reply = answer{.status = status, .body = std::move(body), .type = type}};
}

} // namespace

answer problem_answer(const exchange& to, error_code code, std::string_view detail,
                      const std::vector<api::problem_detail>& errors, uint32_t retry_after_s) {
  auto status = facts(code).http_status;
  return {.status = status,
          .body = api::problem_json(code, detail, to.request_id, errors),
          .type = "application/problem+json",
          .retry_after_s = status == 503 ? retry_after_s : 0};
}

request_fields fields_of(const restinio::request_handle_t& request) {
  using restinio::http_field;
  const auto& header = request->header();
  return {.method = header.method().c_str(),
          .target = header.request_target(),
          .origin = field_of(header, http_field::origin),
          .authorization = field_of(header, http_field::authorization),
          .content_type = field_of(header, http_field::content_type),
          .content_encoding = field_of(header, http_field::content_encoding),
          .body = request->body(),
          .accept = field_of(header, http_field::accept),
          .if_none_match = field_of(header, http_field::if_none_match)};
}

request_handler::request_handler(const loop_shared& shared, const config& settings)
  : shared_(shared),
    settings_(settings),
    reader_(api::event_limits_of(settings), shared.salt) {
  apply_settings();
}

void request_handler::apply_settings() {
  reader_.set_limits(api::event_limits_of(settings_));
  question_defaults_ = {settings_.stats.timezone, settings_.stats.max_range_days};
}

decision request_handler::decide(const request_fields& request, exchange& current, bool draining) {
  current.head = request.method == "HEAD";
  auto target = read_target(request.target);
  if (!target)
    return problem(current, error_code::bad_request_target,
                   "expected a path, or a whole http or https address with a host and no user");
  current.path = target->path;
  current.query_string = target->query;
  current.origin = allowed_origin(request.origin, settings_);
  bool asks_options = request.method == "OPTIONS";
  if (asks_options && (current.path == "*" || !current.origin.empty()))
    return at_once(204, "", "");
  auto [route, allowed] = shared_.routes.find(request.method, current.path);
  current.route = route;
  if (asks_options && !allowed.empty()) {
    current.allowed_methods = allowed;
    return at_once(204, "", "");
  }
  if (!route && !allowed.empty())
    return problem(current, error_code::method_not_allowed,
                   "this path knows " + (current.allowed_methods = allowed));
  if (!route)
    return problem(current, error_code::not_found,
                   settings_.stats.enabled ? "" : "statistics are switched off (stats.enabled)");
  auto refused = admit(request.authorization, route->serves->needs, settings_, *shared_.tokens);
  if (refused == error_code::none)
    return serve(request, current, draining);
  auto needed =
    "this path needs a token of scope " + std::string{api::to_string(route->serves->needs)};
  return problem(current, refused, refused == error_code::forbidden ? needed : "");
}

decision request_handler::serve(const request_fields& request, exchange& current, bool draining) {
  switch (current.route->serves->kind) {
    case endpoint_kind::ingest: return ingest(request, current);
    case endpoint_kind::question: return ask(request, current);
    case endpoint_kind::health:
      return {.question = health_query{.in_full = is_for_administrator(request)}};
    case endpoint_kind::live: return at_once(200, R"({"status":"ok"})");
    case endpoint_kind::ready: return readiness(request, current, draining);
    case endpoint_kind::startup: break;
  }
  return shared_.started ? at_once(200, R"({"status":"started"})")
                         : problem(current, error_code::not_ready, "the service is starting");
}

decision request_handler::readiness(const request_fields& request, const exchange& current,
                                    bool draining) {
  if (!shared_.ready)
    return problem(current, error_code::not_ready, draining ? "the service is stopping" : "");
  if (auto whole = shared_.backend->health(); whole.refuses_events)
    return problem(current, error_code::not_ready,
                   "events would be refused: "
                     + (is_for_administrator(request) ? whole.text() : whole.short_text()));
  return at_once(200, R"({"status":"ready"})");
}

/// Everybody who reaches the listener may ask how we are; hosts, paths and the words of the
/// database are for administrators.
bool request_handler::is_for_administrator(const request_fields& request) const {
  return is_administrator(request.authorization, settings_, *shared_.tokens);
}

decision request_handler::ingest(const request_fields& request, exchange& current) {
  auto [read, atomic] =
    read_ingest({.query_string = current.query_string,
                 .content_type = request.content_type,
                 .content_encoding = request.content_encoding,
                 .text = request.body},
                reader_, static_cast<size_t>(settings_.server.max_expanded_bytes), current.wall_us);
  current.atomic = atomic;
  if (read.error != error_code::none)
    return problem(current, read.error, read.detail);
  ingest_request events{.to = current.to};
  bool refused = read.events.empty() || (atomic && !read.rejected.empty());
  events.rejected =
    static_cast<uint32_t>(read.rejected.size() + (refused ? read.events.size() : 0));
  if (refused) {
    // Nothing to store, but the ledger counts what came in.
    events.awaited = false;
    auto why = read.events.empty() ? error_code::nothing_valid : error_code::atomic_refused;
    return {.reply = problem_answer(current, why, {}, read.rejected), .events = std::move(events)};
  }
  events.atomic = atomic;
  events.hold(std::move(read.events));
  current.rejected = std::move(read.rejected);
  return {.events = std::move(events)};
}

decision request_handler::ask(const request_fields& request, exchange& current) {
  auto defaults = question_defaults_;
  defaults.format = api::accepted_format(request.accept);
  auto read = api::read_question(*current.route->serves, current.query_string, defaults);
  if (!read.errors.empty())
    return problem(current, error_code::invalid_query, {}, read.errors);
  current.media_type = read.media_type;
  current.known_tags = request.if_none_match;
  return {.question = std::move(read.query)};
}

} // namespace phi::http
