#include "server/http/answers.hpp"

#include "server/platform/digest.hpp"

#include <restinio/all.hpp>

namespace phi::http {
namespace {

template <class Output>
void add_cors(restinio::response_builder_t<Output>& response, const exchange& to) {
  response.append_header("Access-Control-Allow-Origin", to.origin);
  response.append_header("Vary", "Origin");
  if (to.request->header().method() != restinio::http_method_options())
    return;
  response.append_header("Access-Control-Allow-Methods", "GET, POST");
  response.append_header("Access-Control-Allow-Headers",
                         "Authorization, Content-Type, Content-Encoding, X-Request-Id");
  response.append_header("Access-Control-Max-Age", "600");
}

template <class Output>
void add_fields(restinio::response_builder_t<Output>& response, const exchange& to,
                const answer& reply, bool close) {
  response.append_header("X-Request-Id", to.request_id);
  response.append_header_date_field();
  if (!reply.body.empty())
    response.append_header(restinio::http_field::content_type, std::string{reply.type});
  if (reply.retry_after_s > 0)
    response.append_header(restinio::http_field::retry_after, std::to_string(reply.retry_after_s));
  if (reply.status == 401)
    response.append_header(restinio::http_field::www_authenticate, "Bearer");
  if (!reply.tag.empty()) {
    response.append_header(restinio::http_field::etag, reply.tag);
    response.append_header(restinio::http_field::cache_control, "no-cache"); // ask each time
    response.append_header(restinio::http_field::vary, "Accept");
  }
  if (!to.allowed_methods.empty())
    response.append_header(restinio::http_field::allow, to.allowed_methods);
  if (!to.origin.empty())
    add_cors(response, to);
  // An upgrade that we do not take: RESTinio would call the handler again for the same request.
  bool upgrade = to.request->header().connection() == restinio::http_connection_header_t::upgrade;
  if (close || upgrade)
    response.connection_close();
}

} // namespace

answer answer_to_question(const exchange& to, std::string body) {
  if (to.media_type.empty()) // about the service itself
    return {.body = std::move(body)};
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

} // namespace phi::http
