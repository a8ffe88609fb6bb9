// What the log tells of a request, and at which level; and that no secret is in it.

#include "actors/log.hpp"
#include "server/http/access_log.hpp"
#include "tests/support/connected_link.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/fake_request.hpp"

#include <map>

using namespace phi;
using namespace phi::http;
using namespace phi::testing;

namespace {

/// A log from one level on, with each line's values.
struct level_log : log_sink {
  explicit level_log(log_level least) : least(least) { set_log_sink(this); }
  ~level_log() override { set_log_sink(nullptr); }
  bool wants(log_level level) const noexcept override { return level >= least; }
  void write(log_level level, std::string_view actor, std::string_view text,
             const log_fields& fields) noexcept override {
    at = level;
    said = std::string{actor} + " " + std::string{text};
    values.clear();
    for (const auto& field : fields)
      values.emplace(field.key, field.value);
    ++lines;
  }
  std::string text(const std::string& name) const { return std::get<std::string>(values.at(name)); }
  int64_t number(const std::string& name) const { return std::get<int64_t>(values.at(name)); }
  double real(const std::string& name) const { return std::get<double>(values.at(name)); }

  log_level least;
  log_level at{};
  std::string said;
  std::map<std::string, std::variant<int64_t, double, std::string>> values;
  int lines = 0;
};

} // namespace

TEST_CASE("the log of requests: at debug, or at info with logging.access; else nothing is made") {
  config settings;
  CHECK_FALSE(wants_requests(settings)); // without a log
  {
    level_log debug{log_level::debug};
    CHECK(wants_requests(settings));
  }
  level_log info{log_level::info};
  CHECK_FALSE(wants_requests(settings));
  settings.logging.access = true;
  CHECK(wants_requests(settings));
  info.least = log_level::warn;
  CHECK_FALSE(wants_requests(settings));
}

TEST_CASE("the log of requests: a line has what was asked and what came of it, and no secret") {
  level_log log{log_level::trace};
  config settings;
  fake_request request{"/api/v1/events?atomic=true&key=S3cret", restinio::http_method_post()};
  request.field("Authorization", "Bearer S3cret").field("Cookie", "S3cret");
  exchange answered{.request = request.made(),
                    .path = "/api/v1/events",
                    .query_string = "atomic=true&key=S3cret",
                    .request_id = "r-1",
                    .began = clock::now() - std::chrono::microseconds{1'500}};
  log_request(settings, "POST", answered, 200, 17, "192.0.2.1");
  REQUIRE(log.lines == 1);
  CHECK(log.at == log_level::debug);
  CHECK(log.said == "http answers a request");
  CHECK(log.values.size() == 7);
  CHECK(log.text("method") == "POST");
  CHECK(log.text("path") == "/api/v1/events");
  CHECK(log.number("status") == 200);
  CHECK(log.number("bytes") == 17);
  CHECK(log.text("client") == "192.0.2.1");
  CHECK(log.text("id") == "r-1");
  CHECK(log.real("ms") >= 1.5);
  CHECK(log.real("ms") < 10'000);
  for (const auto& [name, value] : log.values)
    if (const auto* text = std::get_if<std::string>(&value))
      CHECK(text->find("S3cret") == text->npos);
  settings.logging.access = true;
  log_request(settings, "POST", answered, 404, 0, "192.0.2.1");
  CHECK(log.at == log_level::info);
  CHECK(log.number("status") == 404);
}

TEST_CASE("the log of requests: a path that nobody serves is cut") {
  level_log log{log_level::trace};
  std::string whole(256, 'a');
  std::string longer = whole + "b";
  exchange answered{.request = fake_request{}.made(), .path = whole};
  log_request({}, "GET", answered, 404, 0, "c");
  CHECK(log.text("path") == whole);
  answered.path = longer;
  log_request({}, "GET", answered, 404, 0, "c");
  CHECK(log.text("path") == whole);
}

TEST_CASE("the log of requests: what is no request is told with its code, and whose it was") {
  level_log log{log_level::trace};
  turned_loop loop;
  link_and_client peer{loop};
  log_refusal({}, error_code::bad_http, *peer.link, "r-2");
  CHECK(log.said == "http refuses what is no request");
  CHECK(log.at == log_level::debug);
  CHECK(log.text("code") == "bad_http");
  CHECK(log.number("status") == 400);
  CHECK(log.text("client") == "127.0.0.1");
  CHECK(log.text("id") == "r-2");
  peer.link->socket.close();
  log_refusal({}, error_code::uri_too_long, *peer.link, "r-3");
  CHECK(log.text("client") == "gone");
  CHECK(log.number("status") == 414);
}

TEST_CASE(
  "the log of requests: a token that got into the path is not told, however it is written") {
  for (const auto* path :
       {"/events%3Faccess_token=S3cret", "/events%3FACCESS_token=S3cret",
        "/events%3F%61ccess%5ftoken%3DS3cret", "/events%3F%2561ccess_%2574oken=S3cret",
        "/events%3FAccess%255FToken%25253DS3cret"}) {
    CAPTURE(path);
    CHECK(path_to_tell(path) == "/events%3F...");
  }
  CHECK(path_to_tell("/events&access_token=S3cret") == "/events&...");
  CHECK(path_to_tell(std::string(250, 'a') + "access_token=S3cret")
        == std::string(250, 'a') + "...");
  for (const auto* innocent : {"", "/", "/events", "/access", "/access-token", "/access_toke", "/%",
                               "/%6", "/access%5", "/%zz%61ccess_toke%6"}) {
    CAPTURE(innocent);
    CHECK(path_to_tell(innocent) == innocent);
  }
  level_log log{log_level::trace};
  exchange answered{.request = fake_request{}.made(), .path = "/e%3Faccess_token=S3cret"};
  log_request({}, "POST", answered, 404, 0, "c");
  CHECK(log.text("path") == "/e%3F...");
}
