// Where a request goes, who may come in, and what the log tells of it.

#include "server/http/access.hpp"
#include "server/http/access_log.hpp"
#include "server/http/request_target.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"

#include <cstdlib>
#include <filesystem>

using namespace phi;
using namespace phi::api;
using namespace phi::http;

TEST_CASE("targets: a path, or a whole address whose host is no matter") {
  struct {
    std::string_view target, path, query;
  } const rows[] = {
    {"/health?a=b?c", "/health", "a=b?c"},
    {"/health", "/health", ""},
    {"/health?", "/health", ""},
    {"http://host/health?x=1", "/health", "x=1"},
    {"HTTPS://[::1]:3939/health", "/health", ""},
    {"http://host:80", "/", ""},
    {"http://host?x=1", "/", "x=1"},
    {"http://host/http://other/a", "/http://other/a", ""},
    {"/a?to=http://host/", "/a", "to=http://host/"},
    {"*", "*", ""},
    {"ftp://host/health", "ftp://host/health", ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.target);
    auto read = read_target(row.target);
    REQUIRE(read);
    CHECK(read->path == row.path);
    CHECK(read->query == row.query);
  }
  for (std::string_view bad :
       {"http:///health", "http://", "http://:80/", "http://u:p@host/health"}) {
    CAPTURE(bad);
    CHECK_FALSE(read_target(bad));
  }
}

namespace {

/// A token book in a directory of its own, and settings without a token for everything.
struct gate {
  ~gate() { std::filesystem::remove_all(directory); }
  static std::string made() {
    char name[] = "/tmp/phi-tokens-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    return name;
  }
  error_code ask(const std::string& header, scope needed = scope::read) const {
    return admit(header, needed, settings, book);
  }
  bool administrator(const std::string& header) const {
    return is_administrator(header, settings, book);
  }
  std::string directory = made();
  config settings;
  token_book book{directory + "/tokens.json"};
};

} // namespace

TEST_CASE("access: the scheme's case and the spaces behind it are no matter, the token's are") {
  gate at;
  at.settings.auth.token.value = "S3cret";
  for (const auto* good : {"Bearer S3cret", "bearer S3cret", "BEARER S3cret", "bEaReR   S3cret"})
    CHECK(at.ask(good) == error_code::none);
  for (const auto* bad : {"", "Bearer", "Bearer ", "bearer  ", "BearerS3cret", "Bearer s3cret",
                          "Basic S3cret", "Bearers S3cret", "S3cret"}) {
    CAPTURE(bad);
    CHECK(at.ask(bad) == error_code::unauthorized);
  }
}

TEST_CASE("access: who may come in without a token is no administrator") {
  gate at;
  CHECK(at.ask("Bearer x") == error_code::none);
  CHECK_FALSE(at.administrator("Bearer x"));
  CHECK_FALSE(at.administrator(""));
  at.settings.auth.token.value = "S3cret";
  CHECK(at.administrator("bearer S3cret"));
  CHECK_FALSE(at.administrator("Bearer x"));
  CHECK_FALSE(at.administrator(""));
  auto reads = at.book.create("reader", {scope::read}, std::nullopt)->secret;
  auto rules = at.book.create("ruler", {scope::admin}, std::nullopt)->secret;
  CHECK(at.ask("bearer " + reads) == error_code::none);
  CHECK_FALSE(at.administrator("Bearer " + reads));
  CHECK(at.administrator("Bearer " + rules));
}

namespace {

/// A log of one level.
struct level_log : log_sink {
  explicit level_log(log_level least) : least_(least) { set_log_sink(this); }
  ~level_log() override { set_log_sink(nullptr); }
  bool wants(log_level level) const noexcept override { return level >= least_; }
  void write(log_level, std::string_view, std::string_view, const log_fields&) noexcept override {}
  log_level least_;
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
  info.least_ = log_level::warn;
  CHECK_FALSE(wants_requests(settings));
}
