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

TEST_CASE("access: pages without an origin are let in as everybody, and not by a name") {
  config settings;
  settings.cors.allowed_origins = {"null", "https://a.example"};
  CHECK(grant_to_origin("null", settings) == origin_grant::to_all);
  CHECK(grant_to_origin("https://a.example", settings) == origin_grant::by_name);
  CHECK(grant_to_origin("https://b.example", settings) == origin_grant::no);
}

TEST_CASE("access: a header brings a token if its scheme is Bearer") {
  for (const auto* brings : {"Bearer x", "bearer  x"})
    CHECK(brings_token(brings));
  for (const auto* other : {"", "Basic dTpw", "Bearer", "Bearer "})
    CHECK_FALSE(brings_token(other));
}

TEST_CASE("access: names of strangers, and what is none") {
  config settings;
  settings.server.host = "phi.example.net";
  for (const auto* theirs : {"evil.com", "evil.com:3939", "EVIL.com.", "127.0.0.1.evil.com",
                             "localhost.evil.com", "phi.example.net.evil.com", "mylocal.dev"}) {
    CAPTURE(theirs);
    CHECK(is_name_of_strangers(theirs, settings));
  }
  for (const auto* ours : {"", "t", "localhost", "localhost:3939", "LOCALHOST.", "a.localhost:1",
                           "127.0.0.1", "127.1.2.3:3939", "192.168.0.7:3939", "[::1]:3939", "[::1]",
                           "box.local", "phi.test:80", "phi.example.net:3939", "a.home.arpa"}) {
    CAPTURE(ours);
    CHECK_FALSE(is_name_of_strangers(ours, settings));
  }
}

TEST_CASE("access: a page's own name for us is refused where nothing else keeps it out") {
  gate at;
  auto ask = [&](const std::string& host, uint16_t port) {
    return admit_host(host, port, at.settings, at.book);
  };
  CHECK(ask("evil.com:3939", 3939) == error_code::forbidden);
  CHECK(ask("stats.example.com", 80) == error_code::none);   // may be one before us, of HTTPS
  CHECK(ask("evil.com:3939", 0) == error_code::none);        // from another machine
  CHECK(ask("stats.example.com", 3939) == error_code::none); // a proxy's, from its own port
  CHECK(ask("stats.example.com:8443", 3939) == error_code::none);
  CHECK(ask("localhost:3939", 3939) == error_code::none);
  at.settings.server.trusted_proxies = {"127.0.0.1"};
  CHECK(ask("evil.com:3939", 3939) == error_code::none);
  at.settings.server.trusted_proxies.clear();
  at.settings.auth.allow_anonymous = true;
  CHECK(ask("evil.com:3939", 3939) == error_code::none);
  at.settings.auth.allow_anonymous = false;
  at.settings.auth.token.value = "S3cret";
  CHECK(ask("evil.com:3939", 3939) == error_code::none); // the token does
}
