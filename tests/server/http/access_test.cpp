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
  using enum origin_grant;
  CHECK(grant_to_origin("https://a.example", settings) == no);
  settings.cors.allowed_origins = {"https://a.example", "http://b.example:8080"};
  CHECK(grant_to_origin("https://a.example", settings) == by_name);
  CHECK(grant_to_origin("http://b.example:8080", settings) == by_name);
  for (const auto* other : {"", "https://a.example.net", "https://a.exampl", "http://a.example",
                            "http://b.example", "null"}) {
    CAPTURE(other);
    CHECK(grant_to_origin(other, settings) == no);
  }
  settings.cors.allowed_origins = {"*", "https://a.example"};
  CHECK(grant_to_origin("http://c.example", settings) == to_all);
  CHECK(grant_to_origin("https://a.example", settings) == by_name);
  CHECK(grant_to_origin("", settings) == no);
}

TEST_CASE("access: a token in the query string is found beside other parameters, and decoded") {
  CHECK(authorization_of_query("access_token=S3cret") == "Bearer S3cret");
  CHECK(authorization_of_query("atomic=true&access_token=a%2Bb") == "Bearer a+b");
  for (const auto* none :
       {"", "atomic=true", "my_access_token=x", "access_token", "token=x", "access_token=%zz"}) {
    CAPTURE(none);
    CHECK(authorization_of_query(none).empty());
  }
}
