#include "protocol/text/json_depth.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;

TEST_CASE("JSON depth: brackets count, what stands in strings does not") {
  CHECK_FALSE(nests_deeper("[[[]]]", 3));
  CHECK(nests_deeper("[[[[", 3));
  CHECK(nests_deeper(R"({"a":[{"b":[]}]})", 3));
  CHECK_FALSE(nests_deeper(R"(["[[[[\"[[[[", "{{{{"])", 3));
  CHECK_FALSE(nests_deeper("[][][][][]", 3));
  CHECK_FALSE(nests_deeper("]]]]", 3));
}
