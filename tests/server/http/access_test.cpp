// Who may come in.

#include "server/http/access.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/temp_dir.hpp"

using namespace phi;
using namespace phi::api;
using namespace phi::http;

namespace {

/// A token book in a directory of its own, and settings without a token for everything.
struct gate {
  error_code ask(const std::string& header, scope needed = scope::read) const {
    return admit(header, needed, settings, book);
  }
  bool administrator(const std::string& header) const {
    return is_administrator(header, settings, book);
  }
  phi::testing::temp_dir directory;
  config settings;
  token_store book{directory.path("tokens.json")};
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

TEST_CASE("access: an origin is allowed whole, or every one by a star") {
  config settings;
  CHECK(allowed_origin("https://a.example", settings).empty());
  settings.cors.allowed_origins = {"https://a.example", "http://b.example:8080"};
  CHECK(allowed_origin("https://a.example", settings) == "https://a.example");
  CHECK(allowed_origin("http://b.example:8080", settings) == "http://b.example:8080");
  for (const auto* other : {"", "https://a.example.net", "https://a.exampl", "http://a.example",
                            "http://b.example", "null"}) {
    CAPTURE(other);
    CHECK(allowed_origin(other, settings).empty());
  }
  settings.cors.allowed_origins = {"*"};
  CHECK(allowed_origin("http://c.example", settings) == "http://c.example");
  CHECK(allowed_origin("", settings).empty());
}
