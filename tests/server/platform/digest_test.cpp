#include "protocol/event.hpp"
#include "server/platform/digest.hpp"
#include "tests/support/doctest.hpp"

#include <set>

using namespace phi;

TEST_CASE("keyed hashes are those of HMAC-SHA256") {
  // RFC 4231, test case 2, first 16 bytes
  keyed_hash hash{"Jefe"};
  CHECK(hash.of("what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c7");
  CHECK(hash.of("what do ya want for nothing?")
        == "5bdcc146bf60754e6a042426089575c7"); // the key stays
  CHECK(keyed_hash{""}.of("x").empty());
}

TEST_CASE("UUIDv7: version, variant, sorted by time, never twice") {
  uuid7_source source;
  std::set<digest> seen;
  digest last{};
  for (int i = 0; i < 20'000; ++i) {
    auto now = source.next(1'767'323'045'000'000 + i * 1000);
    CHECK_MESSAGE((now[6] >> 4) == 7, "version");
    CHECK_MESSAGE((now[8] >> 6) == 2, "variant");
    REQUIRE(seen.insert(now).second);
    REQUIRE(last < now);
    last = now;
  }
  for (int i = 0; i < 20'000; ++i)
    REQUIRE(seen.insert(source.next(1'767'323'045'000'000)).second);
}

TEST_CASE("identities spread in a table, with and without ids of the sender") {
  uuid7_source source;
  identity_digest digests;
  std::set<size_t> of_uuids;
  std::set<size_t> of_ids;
  for (int i = 0; i < 10'000; ++i) {
    of_uuids.insert(digest_hash{}(source.next(1'767'323'045'000'000 + i)));
    of_ids.insert(digest_hash{}(digests.of("source", std::to_string(i))));
  }
  CHECK(of_uuids.size() > 9'990);
  CHECK(of_ids.size() > 9'990);
}

TEST_CASE("tokens compare equal only when they are") {
  CHECK(same_token("abc", "abc"));
  CHECK_FALSE(same_token("abc", "abd"));
  CHECK_FALSE(same_token("", "abc"));
  CHECK_FALSE(same_token("abcd", "abc"));
}
