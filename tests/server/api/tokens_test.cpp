// The tokens that operators have made: what is kept of them, and who needs one.

#include "protocol/text/rfc3339.hpp"
#include "server/api/tokens.hpp"
#include "server/platform/digest.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>

using namespace phi;
using namespace phi::api;
using namespace phi::testing;
namespace fs = std::filesystem;

namespace {

struct token_file : temp_dir {
  std::string at = path("tokens.json");

  token_store store() const { return token_store{at}; }
  /// Why a file with this text cannot be read.
  std::string trouble(const std::string& text) const {
    write_text(at, text);
    token_store broken{at};
    CHECK(broken.needed()); // nobody may enter
    CHECK(broken.all()->empty());
    CHECK(text_in(at) == text);
    return broken.loaded().why();
  }
};

/// A file with one token.
std::string one_token(const std::string& id, const std::string& more) {
  return R"({"tokens":[{"id":")" + id + R"(","name":"n","digest":"d",)" + more + "}]}";
}

} // namespace

TEST_CASE("tokens: the names of scopes") {
  for (auto granted : {scope::ingest, scope::read, scope::admin})
    CHECK(parse_scope(to_string(granted)) == granted);
  CHECK(to_string(scope::ingest) == "ingest");
  CHECK(to_string(scope::read) == "read");
  CHECK(to_string(scope::admin) == "admin");
  for (const auto* none : {"none", "", "Admin", "read ", "ingest,read"})
    CHECK_FALSE(parse_scope(none)); // "none" is what everybody may do
}

TEST_CASE("tokens: a name says whose it is, in one short line") {
  for (std::string good : {"x", "Gr\u00fc\u00dfe von Ren\u00e9", " padded ", "a\\b\"c"})
    CHECK(check_token_name(good).why() == "");
  CHECK(check_token_name(std::string(64, 'x')).why() == "");
  for (std::string empty : {"", " ", "   "})
    CHECK(check_token_name(empty).why()
          == "a token needs a name, so that you know later whose it is");
  for (std::string bad : {std::string(65, 'x'), std::string{"a\nb"}, std::string{"a\tb"},
                          std::string{"a\x7f"}, std::string{"\0a", 2}})
    CHECK(check_token_name(bad).why()
          == "the name of a token may have up to 64 bytes, none of them a control character");
}

TEST_CASE("tokens: of a new one the digest is kept and not the secret, for its owner only") {
  token_file file;
  auto store = file.store();
  CHECK_FALSE(store.needed());
  auto before = wall_clock_us();
  auto made = store.create("a \"b\"", {scope::read, scope::ingest}, 1'767'225'600'000'001);
  auto after = wall_clock_us();
  REQUIRE(made.why() == "");
  CHECK(made->secret.starts_with("phi_"));
  CHECK(made->secret.size() == 4 + 64);
  CHECK(made->kept.id.size() == 8);
  CHECK(made->kept.digest == hex_digest(made->secret));
  CHECK(made->kept.created_us >= before);
  CHECK(made->kept.created_us <= after);
  auto kept = nlohmann::ordered_json::parse(text_in(file.at));
  CHECK(kept.dump()
        == R"({"tokens":[{"id":")" + made->kept.id
             + R"(","name":"a \"b\"","scopes":["read","ingest"],"digest":")" + made->kept.digest
             + R"(","created":")" + format_rfc3339(made->kept.created_us)
             + R"(","expires":"2026-01-01T00:00:00.000001Z"}]})");
  CHECK(text_in(file.at).find(made->secret.substr(4)) == std::string::npos);
  CHECK(fs::status(file.at).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(store.create("c", {}, std::nullopt)->secret != made->secret);
}

TEST_CASE("tokens: the next run knows all of them, as they were") {
  token_file file;
  auto store = file.store();
  auto one = *store.create("one", {scope::read, scope::ingest}, 1'767'225'600'000'001);
  auto two = *store.create("two", {scope::admin}, std::nullopt);
  auto next = file.store();
  CHECK(next.loaded().why() == "");
  CHECK(next.needed());
  auto all = next.all();
  REQUIRE(all->size() == 2);
  for (const auto* made : {&one.kept, &two.kept}) {
    const auto& kept = (*all)[made == &one.kept ? 0 : 1];
    CHECK(kept.id == made->id);
    CHECK(kept.name == made->name);
    CHECK(kept.scopes == made->scopes);
    CHECK(kept.digest == made->digest);
    CHECK(kept.created_us == made->created_us);
    CHECK(kept.expires_us == made->expires_us);
  }
}

TEST_CASE("tokens: one expires at its time and not before; without one never") {
  token limited{.expires_us = 1000};
  CHECK_FALSE(limited.expired(999));
  CHECK(limited.expired(1000));
  CHECK_FALSE(token{}.expired(INT64_MAX));
}

TEST_CASE("tokens: one that is revoked goes, the others stay, and who looked before still sees") {
  token_file file;
  auto store = file.store();
  auto one = store.create("one", {scope::read}, std::nullopt)->kept.id;
  auto two = store.create("two", {scope::read}, std::nullopt)->kept.id;
  auto before = store.all();
  CHECK(store.revoke(one).why() == "");
  CHECK(store.revoke(one).why() == "there is no token " + one + "; see: phictl token list");
  CHECK(store.revoke("").why() == "there is no token ; see: phictl token list");
  CHECK(before->size() == 2);
  REQUIRE(store.all()->size() == 1);
  CHECK(store.all()->front().id == two);
  REQUIRE(file.store().all()->size() == 1);
  CHECK(file.store().all()->front().id == two);
}

TEST_CASE("tokens: needed from the first one on, also when the last has gone, until the file has") {
  token_file file;
  {
    auto store = file.store();
    CHECK(store.revoke(store.create("n", {scope::read}, std::nullopt)->kept.id).why() == "");
    CHECK(store.needed());
    CHECK(store.all()->empty());
  }
  CHECK(file.store().needed());
  CHECK(file.store().loaded().why() == "");
  fs::remove(file.at);
  CHECK_FALSE(file.store().needed());
}

TEST_CASE("tokens: what cannot be kept has not been done") {
  token_file file;
  auto store = file.store();
  auto id = store.create("n", {scope::read}, std::nullopt)->kept.id;
  fs::remove_all(file.path());
  CHECK(store.create("m", {scope::read}, std::nullopt).why().find("No such file or directory")
        != std::string::npos);
  CHECK_FALSE(store.revoke(id));
  REQUIRE(store.all()->size() == 1);
  CHECK(store.all()->front().id == id);
  auto nowhere = token_store{file.at};
  CHECK_FALSE(nowhere.create("m", {scope::read}, std::nullopt));
  CHECK_FALSE(nowhere.needed()); // nobody is shut out for it
}

TEST_CASE("tokens: a file that cannot be read lets nobody in, says why, and stays as it is") {
  token_file file;
  for (const auto* text :
       {"", "{", "[]", "{}", R"({"tokens":[{}]})", R"({"tokens":[{"id":"i","name":"n"}]})",
        R"({"tokens":[{"id":1,"name":"n","digest":"d","scopes":[],"created":""}]})"}) {
    CAPTURE(text);
    auto why = file.trouble(text);
    CHECK(why.starts_with("cannot read the tokens in " + file.at + ": "));
    CHECK(why.ends_with("; correct the file, or remove it to begin anew"));
  }
  CHECK(file.trouble(one_token("0a", R"("scopes":["read"],"created":"","expires":"soon")"))
          .find(": token 0a has no valid time in \"expires\"; ")
        != std::string::npos); // else it would be good for ever
  CHECK_FALSE(
    file.trouble(one_token("0a", R"("scopes":["read"],"created":"","expires":null)")).empty());
  fs::remove(file.at);
  fs::create_symlink(file.at, file.at);
  auto lost = file.store();
  CHECK(lost.loaded().why()
        == "cannot read the tokens in " + file.at + ": Too many levels of symbolic links");
  CHECK(lost.needed());
}

TEST_CASE("tokens: a scope of another version allows nothing here, the others hold") {
  token_file file;
  write_text(file.at, one_token("0a", R"("scopes":["fly","read","none"],"created":"")"));
  auto store = file.store();
  CHECK(store.loaded().why() == "");
  CHECK(store.all()->at(0).scopes == std::vector{scope::read});
}

TEST_CASE("tokens: requests that came without one are counted") {
  token_file file;
  auto store = file.store();
  CHECK(store.anonymous() == 0);
  store.note_anonymous();
  store.note_anonymous();
  CHECK(store.anonymous() == 2);
}
