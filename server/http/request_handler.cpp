#include "server/http/request_handler.hpp"

#include "config/defaults.hpp"
#include "server/api/answer_format.hpp"
#include "server/http/access.hpp"
#include "server/http/docs.hpp"
#include "server/http/index.hpp"
#include "server/http/ingest_body.hpp"
#include "server/http/limits.hpp"
#include "server/http/openapi.hpp"
#include "server/http/request_target.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <strings.h>

namespace phi::http {
namespace {

decision problem(const exchange& to, error_code code, std::string_view detail = {},
                 const std::vector<api::problem_detail>& errors = {}) {
  return {.reply = problem_answer(to, code, detail, errors)};
}

/// RFC 9110, section 5.6.2.
bool is_token(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c)
           || std::string_view{"!#$%&'*+-.^_`|~"}.find(static_cast<char>(c))
                != std::string_view::npos;
  });
}

/// RFC 9110, section 8.6: an answer without content has a length of 0, or the status 204 and none.
answer nothing_more() {
  return {.status = 200, .type = ""};
}

/// ", ce-a, ce-b": those among the fields that a page wants to send which are attributes of a
/// CloudEvent. Bounded, and nothing but names goes back.
std::string attributes_among(std::string_view asked) {
  constexpr size_t longest = 1024;
  std::string out;
  for (size_t at = 0; at < asked.size() && out.size() < longest;) {
    auto end = std::min(asked.find(',', at), asked.size());
    auto name = asked.substr(at, end - at);
    at = end + 1;
    name.remove_prefix(std::min(name.find_first_not_of(" \t"), name.size()));
    name = name.substr(0, name.find_last_not_of(" \t") + 1);
    if (is_cloud_field(name) && is_token(name) && out.size() + name.size() < longest)
      out.append(", ").append(name);
  }
  return out;
}

/// To somebody who asks what a path knows; a sender of webhooks also asks whether it may send.
answer answer_to_options(const request_fields& request, exchange& current) {
  if (current.allowed_methods.starts_with("POST"))
    current.webhook_origin = request.webhook_origin;
  return nothing_more();
}

ingest_body body_of(const request_fields& request, const exchange& current) {
  return {.query_string = current.query_string,
          .content_type = request.content_type,
          .content_encoding = request.content_encoding,
          .text = request.body,
          .cloud = request.cloud,
          .from_page = !current.origin.empty()};
}

/// "/status: expected ...", where one event is all that is wrong: not everybody looks further.
std::string only_one(const std::vector<api::problem_detail>& rejected) {
  if (rejected.size() != 1)
    return {};
  const auto& [index, code, pointer, message] = rejected.front();
  return pointer.empty() ? message : pointer + ": " + message;
}

/// To a request that is wrong as a whole.
answer refusal_of(const exchange& to, const read_ingest_body& wrong) {
  const auto& parameters = wrong.wrong_parameters;
  return problem_answer(to, wrong.events.error,
                        parameters.empty() ? wrong.events.detail : only_one(parameters),
                        parameters);
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
          .retry_after_s = status == 503 || status == 429 ? retry_after_s : 0,
          .code = code};
}

void request_fields::take(std::string_view name, std::string_view value) {
  struct known {
    std::string_view name;
    std::string_view request_fields::*to;
  };
  static constexpr std::array all{
    known{"Origin", &request_fields::origin},
    known{"Accept", &request_fields::accept},
    known{"Content-Type", &request_fields::content_type},
    known{"Authorization", &request_fields::authorization},
    known{"Content-Encoding", &request_fields::content_encoding},
    known{"If-None-Match", &request_fields::if_none_match},
    known{"WebHook-Request-Origin", &request_fields::webhook_origin},
    known{"Host", &request_fields::host},
    known{"Access-Control-Request-Headers", &request_fields::asked_headers}};
  for (const auto& field : all)
    if (field.name.size() == name.size()
        && strncasecmp(field.name.data(), name.data(), name.size()) == 0
        && (this->*field.to).empty())
      this->*field.to = value;
  if (is_cloud_field(name))
    cloud.push_back({name.substr(3), value});
}

request_fields fields_of(const restinio::request_handle_t& request) {
  const auto& header = request->header();
  request_fields out{
    .method = header.method().c_str(), .target = header.request_target(), .body = request->body()};
  out.is_http_1_0 = header.http_major() == 1 && header.http_minor() == 0;
  header.for_each_field([&](const auto& field) { out.take(field.name(), field.value()); });
  return out;
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
  if (auto refused = admit_to_route(request, current, rate_use::spend))
    return {.reply = std::move(refused)};
  return serve(request, current, draining);
}

std::optional<answer> request_handler::refuse_early(const request_fields& request,
                                                    exchange& current) {
  auto refused = admit_to_route(request, current, rate_use::ask);
  if (!refused && current.is_ingest())
    if (auto wrong = refuse_ingest(body_of(request, current));
        wrong.events.error != error_code::none)
      refused = refusal_of(current, wrong);
  if (refused && refused->code != error_code::rate_limited) {
    // There will be no whole request, which would spend.
    current.rate_policy.clear();
    current.rate_left.clear();
    limit_address(current, rate_use::spend);
  }
  return refused;
}

/// The way to the route, of which the request has the right; else the answer.
std::optional<answer> request_handler::admit_to_route(const request_fields& request,
                                                      exchange& current, rate_use use) {
  current.head = request.method == "HEAD";
  current.asks_options = request.method == "OPTIONS";
  auto target = read_target(request.target);
  if (!target)
    return problem_answer(current, error_code::bad_request_target,
                          "expected a path, or a whole http or https address with a host and no "
                          "user");
  current.path = target->path;
  current.query_string = target->query;
  auto granted = grant_to_origin(request.origin, settings_);
  if (granted != origin_grant::no)
    current.origin = request.origin;
  current.origin_by_name = granted == origin_grant::by_name;
  if (current.asks_options && current.path == "*")
    return nothing_more();
  auto [route, allowed] = shared_.routes.find(request.method, current.path);
  if (current.asks_options && !current.origin.empty()) {
    current.asked_attributes = attributes_among(request.asked_headers);
    if (allowed.starts_with("POST"))
      current.webhook_origin = request.webhook_origin;
    return nothing_more();
  }
  current.route = route;
  if (!route && !allowed.empty()) {
    current.allowed_methods = allowed;
    if (current.asks_options)
      return answer_to_options(request, current);
    return problem_answer(current, error_code::method_not_allowed, "this path knows " + allowed);
  }
  if (!route)
    return no_such_path(current);
  if (auto refused = limit_address(current, use)) // before anybody tries tokens
    return refused;
  return admit_to_need(request, current, use);
}

/// Whether who asks may do what the route does.
std::optional<answer> request_handler::admit_to_need(const request_fields& request,
                                                     exchange& current, rate_use use) const {
  auto needs = current.route->serves->needs;
  if (needs != scope::none
      && admit_host(request.host, current.loopback_port, settings_, *shared_.tokens)
           != error_code::none)
    return problem_answer(current, error_code::forbidden,
                          "Host is " + std::string{request.host.substr(0, 64)}
                            + ", which may be a page's way to what this machine alone may read; "
                              "use localhost, or make a token with phictl token create");
  auto authorization = std::string{request.authorization};
  if (!brings_token(authorization) && needs == scope::ingest)
    if (auto given = authorization_of_query(current.query_string); !given.empty())
      authorization = std::move(given);
  auto admitted = let_in(authorization, needs, settings_, *shared_.tokens);
  if (admitted.refused == error_code::none)
    return limit_token(admitted.token, current, use);
  auto needed = "this path needs a token of scope " + std::string{api::to_string(needs)};
  return problem_answer(current, admitted.refused,
                        admitted.refused == error_code::forbidden ? needed : "");
}

/// Who watches the service is never limited.
std::optional<answer> request_handler::limit_address(exchange& current, rate_use use) const {
  const auto quota = settings_.server.rate_limit.per_address;
  if (quota == 0 || !current.route || !current.route->serves->counts())
    return std::nullopt;
  auto who = rate_key_of_address(current.client);
  return who ? limit("address", *who, quota, current, use) : std::nullopt;
}

std::optional<answer> request_handler::limit_token(std::string_view token, exchange& current,
                                                   rate_use use) const {
  const auto quota = settings_.server.rate_limit.per_token;
  if (quota == 0 || token.empty() || !current.route->serves->counts())
    return std::nullopt;
  return limit("token", rate_key_of_token(token), quota, current, use);
}

/// Tells how much of the quota is left, in the header of whatever the answer is.
std::optional<answer> request_handler::limit(std::string_view name, const rate_key& who,
                                             int64_t quota, exchange& current, rate_use use) const {
  const rate_policy policy{quota, settings_.server.rate_limit.window_secs};
  auto& limiter = *shared_.limiter;
  const auto verdict = use == rate_use::spend ? limiter.spend(who, policy, current.decided)
                                              : limiter.ask(who, policy, current.decided);
  auto add = [&](std::string& list, const std::string& parameters) {
    list.append(list.empty() ? "\"" : ", \"").append(name).append("\";").append(parameters);
  };
  add(current.rate_policy, "q=" + std::to_string(quota) + ";w=" + std::to_string(policy.window_s));
  add(current.rate_left,
      "r=" + std::to_string(verdict.remaining) + ";t=" + std::to_string(verdict.restored_s));
  if (verdict.admitted)
    return std::nullopt;
  return problem_answer(current, error_code::rate_limited,
                        "this " + std::string{name} + " may make " + std::to_string(quota)
                          + " requests in " + std::to_string(policy.window_s)
                          + " seconds (server.rate_limit.per_" + std::string{name} + ")",
                        {}, verdict.retry_after_s);
}

answer request_handler::no_such_path(const exchange& current) const {
  auto path = shared_.routes.meant(current.path);
  std::string hint = !path.empty()             ? "did you mean " + path + "?"
                     : settings_.stats.enabled ? "GET / lists what there is"
                                               : "statistics are switched off (stats.enabled)";
  return problem_answer(current, error_code::not_found, hint);
}

decision request_handler::serve(const request_fields& request, exchange& current, bool draining) {
  switch (current.route->serves->kind) {
    case endpoint_kind::ingest: return ingest(request, current);
    case endpoint_kind::question:
    case endpoint_kind::lifecycle:
    case endpoint_kind::stream: return ask(request, current);
    case endpoint_kind::health:
      return {.question = health_query{.in_full = is_for_administrator(request)}};
    case endpoint_kind::live: return at_once(200, R"({"status":"ok"})");
    case endpoint_kind::ready: return readiness(request, current, draining);
    case endpoint_kind::metrics: return measure(request, current);
    case endpoint_kind::index: return {.reply = index_of(shared_.routes, request.accept)};
    case endpoint_kind::docs: return {.reply = docs_of(shared_.routes)};
    case endpoint_kind::openapi:
      return at_once(200,
                     openapi_of(shared_.routes, admit({}, scope::read, settings_, *shared_.tokens)
                                                  != error_code::none));
    case endpoint_kind::startup: break;
  }
  return shared_.started ? at_once(200, R"({"status":"started"})")
                         : problem(current, error_code::not_ready, "the service is starting");
}

decision request_handler::measure(const request_fields& request, exchange& current) {
  auto format = api::accepted_metrics_format(request.accept);
  current.media_type = api::media_type_of(format);
  current.untagged = true;
  return {.question = service_query{metrics_query{format}}};
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
  auto body =
    read_ingest(body_of(request, current), reader_,
                static_cast<size_t>(settings_.server.max_expanded_bytes), current.wall_us);
  auto& read = body.events;
  const bool atomic = current.atomic = body.atomic;
  if (read.error != error_code::none)
    return {.reply = refusal_of(current, body)};
  if (read.events.empty() && read.rejected.empty()) // a batch of CloudEvents may be empty
    return {.reply = answer{.body = api::ingest_json({}, {})}};
  ingest_request events{.to = current.to};
  bool refused = read.events.empty() || (atomic && !read.rejected.empty());
  events.rejected =
    static_cast<uint32_t>(read.rejected.size() + (refused ? read.events.size() : 0));
  if (refused) {
    // Nothing to store, but the ledger counts what came in.
    events.awaited = false;
    auto why = read.events.empty() ? error_code::nothing_valid : error_code::atomic_refused;
    return {.reply = problem_answer(current, why, only_one(read.rejected), read.rejected),
            .events = std::move(events)};
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
  if (current.route->serves->kind == endpoint_kind::stream && current.head)
    return at_once(200, {}, "text/event-stream");
  if (current.route->serves->kind == endpoint_kind::stream && request.is_http_1_0)
    return problem(current, error_code::unsupported_version,
                   "an answer without an end needs HTTP/1.1 (behind nginx: proxy_http_version)");
  if (current.route->serves->kind == endpoint_kind::stream)
    return {.question = stream_query{read.parameters.text("events") == "true"}};
  if (current.route->serves->kind == endpoint_kind::lifecycle)
    return {.question =
              service_query{lifecycle_query{read.parameters.text("format").value_or("json")}}};
  return {.question = std::move(read.query)};
}

} // namespace phi::http
