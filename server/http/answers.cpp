#include "server/http/answers.hpp"

#include "server/platform/digest.hpp"

#include <restinio/all.hpp>

#include <utility>

namespace phi::http {
namespace {

/// What pages of an allowed origin may do and see. Only one that is allowed by its name may send
/// what the browser adds of its own, such as cookies of a proxy before us.
template <class Add>
void each_cors_field(const exchange& to, Add add) {
  add("Access-Control-Allow-Origin", to.origin);
  if (to.origin_by_name)
    add("Access-Control-Allow-Credentials", "true");
  add("Access-Control-Expose-Headers",
      "ETag, X-Request-Id, Retry-After, RateLimit, RateLimit-Policy");
  add("Vary", "Origin");
  if (!to.asks_options)
    return;
  add("Access-Control-Allow-Methods", "GET, POST");
  add("Access-Control-Allow-Headers",
      "Authorization, Content-Type, Content-Encoding, If-None-Match, X-Request-Id, "
      "ce-specversion, ce-id, ce-source, ce-type, ce-time, ce-subject"
        + to.asked_attributes);
  add("Access-Control-Max-Age", "600");
}

/// All but those that frame the answer; `add` takes a name and a value.
template <class Add>
void each_field(const exchange& to, const answer& reply, Add add) {
  add("X-Request-Id", to.request_id);
  add("Date", restinio::make_date_field_value(std::chrono::system_clock::now()));
  if (!reply.body.empty() || !reply.tag.empty()) // a list without rows may have no bytes
    add("Content-Type", std::string{reply.type});
  if (reply.retry_after_s > 0)
    add("Retry-After", std::to_string(reply.retry_after_s));
  if (!to.rate_policy.empty()) { // draft-ietf-httpapi-ratelimit-headers-10
    add("RateLimit-Policy", to.rate_policy);
    add("RateLimit", to.rate_left);
  }
  if (reply.status == 401)
    add("WWW-Authenticate", "Bearer");
  if (!reply.tag.empty()) {
    add("ETag", reply.tag);
    add("Cache-Control", "no-cache"); // ask each time
    add("Vary", "Accept");
  }
  if (!reply.page_policy.empty()) {
    add("Content-Security-Policy", std::string{reply.page_policy});
    add("X-Content-Type-Options", "nosniff");
    add("Referrer-Policy", "no-referrer");
  }
  if (!to.allowed_methods.empty())
    add("Allow", to.allowed_methods);
  if (!to.origin.empty())
    each_cors_field(to, add);
  if (!to.webhook_origin.empty()) {
    // "HTTP 1.1 Web Hooks for Event Delivery", section 4: as often as it likes.
    add("WebHook-Allowed-Origin", to.webhook_origin);
    add("WebHook-Allowed-Rate", "*");
  }
}

template <class Output>
void add_fields(restinio::response_builder_t<Output>& response, const exchange& to,
                const answer& reply, bool close) {
  each_field(to, reply, [&](const char* name, std::string value) {
    response.append_header(name, std::move(value));
  });
  // An upgrade that we do not take: RESTinio would call the handler again for the same request.
  bool upgrade = to.request->header().connection() == restinio::http_connection_header_t::upgrade;
  if (close || upgrade)
    response.connection_close();
}

} // namespace

answer answer_to_question(const exchange& to, std::string body) {
  if (to.media_type.empty()) // about the service itself
    return {.body = std::move(body)};
  if (to.untagged)
    return {.body = std::move(body), .type = to.media_type};
  auto tag = '"' + hex_digest(body).substr(0, 32) + '"';
  // A cache between may have made a weak one of it.
  bool known = to.known_tags == "*" || to.known_tags.find(tag) != std::string::npos;
  return {.status = known ? 304 : 200,
          .body = std::move(body),
          .type = to.media_type,
          .tag = std::move(tag)};
}

void write_answer(const exchange& to, answer reply, bool close) {
  auto code = restinio::http_status_code_t{static_cast<uint16_t>(reply.status)};
  auto status = restinio::http_status_line_t{code, std::string{api::reason_phrase(reply.status)}};
  if (to.head
      || reply.status == 304) { // the length that GET's answer would have (RFC 9110, section 9.3.2)
    auto response = to.request->create_response<restinio::user_controlled_output_t>(status);
    add_fields(response, to, reply, close);
    response.set_content_length(reply.body.size());
    response.done();
    return;
  }
  auto response = to.request->create_response(status);
  add_fields(response, to, reply, close);
  response.set_body(std::move(reply.body));
  response.done();
}

restinio::response_builder_t<restinio::chunked_output_t> begin_stream(const exchange& to) {
  auto response = to.request->create_response<restinio::chunked_output_t>();
  add_fields(response, to, {}, true);
  response.append_header("Content-Type", "text/event-stream");
  response.append_header("Cache-Control", "no-store");
  response.append_header("X-Accel-Buffering", "no"); // nginx would keep it back
  return response;
}

std::string answer_text(const exchange& to, const answer& reply) {
  auto out = "HTTP/1.1 " + std::to_string(reply.status) + " "
             + std::string{api::reason_phrase(reply.status)} + "\r\nConnection: close\r\n";
  each_field(to, reply, [&](const char* name, const std::string& value) {
    out.append(name).append(": ").append(value).append("\r\n");
  });
  out += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n";
  return to.head ? out : out + reply.body;
}

} // namespace phi::http
