#include "server/http/content_coding.hpp"
#include "tests/support/compressed.hpp"
#include "tests/support/doctest.hpp"

#include <string>

using namespace phi;
using namespace phi::http;

TEST_CASE("codings: unknown ones are told apart from broken ones") {
  CHECK(expand("br", "x", 100).error == error_code::unsupported_encoding);
  CHECK(expand("br", "x", 100).detail
        == "Content-Encoding says \"br\"; gzip and zstd are understood, one of them");
  CHECK(expand("gzip", "x", 100).error == error_code::bad_encoding);
  CHECK(expand("zstd", "x", 100).error == error_code::bad_encoding);
}

TEST_CASE("codings: the sender is told what is wrong with its stream") {
  std::string text;
  for (int i = 0; i < 300; ++i)
    text += std::to_string(i * 7919);
  auto whole = phi::testing::gzip(text);
  auto told = [](const std::string& body, size_t most = 100'000) {
    return expand("gzip", body, most).detail;
  };
  CHECK(told(whole) == "");
  CHECK(expand("gzip", whole, 100'000).text == text);
  CHECK(told("") == "Content-Encoding says gzip, and the body is empty");
  CHECK(told("{\"feature\":\"a\"}")
        == "Content-Encoding says gzip, and the body does not begin as a gzip stream does");
  CHECK(
    told(whole.substr(0, 100))
    == "Content-Encoding says gzip, and the gzip stream ends early, after 100 bytes: was it cut "
       "short?");
  auto size = std::to_string(whole.size() - 1);
  CHECK(told(whole.substr(0, whole.size() - 1))
        == "Content-Encoding says gzip, and the gzip stream ends early, after " + size
             + " bytes: was it cut short?");
  auto damaged = whole;
  damaged[whole.size() - 6] ^= 1; // its checksum
  CHECK(told(damaged).starts_with("Content-Encoding says gzip, and the gzip stream is damaged near "
                                  "byte "));
  CHECK(told(whole, 100) == "the body expands to more than 100 bytes (server.max_expanded_bytes)");
  auto other = phi::testing::zstd(text);
  CHECK(expand("zstd", other.substr(0, other.size() - 1), 100'000).detail
        == "Content-Encoding says zstd, and the zstd stream ends early, after "
             + std::to_string(other.size() - 1) + " bytes: was it cut short?");
  CHECK(expand("zstd", "nonsense", 100'000)
          .detail.starts_with("Content-Encoding says zstd, and the zstd stream is damaged near "
                              "byte "));
}
