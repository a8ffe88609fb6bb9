#pragma once
/// A request handler without a socket, and what it decides.

#include "server/http/request_handler.hpp"
#include "tests/support/recorded_backend.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace phi::testing {

using namespace phi::http;

struct handler_fixture {
  handler_fixture() {
    shared.tokens = std::make_shared<api::token_store>("/nonexistent/tokens.json");
    shared.backend = backend;
  }
  const decision& of(request_fields request, bool draining = false) {
    about = {};
    about.to = 7;
    about.request_id = "id";
    about.client = client;
    about.decided = now;
    last = handler.decide(request, about, draining);
    return last;
  }
  int status(const request_fields& request, bool draining = false) {
    auto decided = of(request, draining);
    return decided.reply ? decided.reply->status : 0;
  }

  std::shared_ptr<recorded_backend> backend = std::make_shared<recorded_backend>();
  config settings;
  loop_shared shared{.routes = route_table{"/api/v1", true}};
  request_handler handler{shared, settings};
  exchange about;
  decision last;
  std::string client; ///< the address that requests come from
  time_point now{std::chrono::hours{1000}};
};

inline constexpr std::string_view events_path = "/api/v1/events";

inline request_fields post(std::string_view body, std::string_view target = events_path) {
  return {.method = "POST", .target = target, .content_type = "application/json", .body = body};
}

} // namespace phi::testing
