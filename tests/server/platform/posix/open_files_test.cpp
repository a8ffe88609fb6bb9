#include "server/platform/open_files.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;

TEST_CASE("open files: connections fit in the limit, with room for the rest") {
  CHECK(connections_within(4096, 4160) == 4096);
  CHECK(connections_within(4096, 4159) == 4095);
  CHECK(connections_within(4096, 1024) == 960);
  CHECK(connections_within(4096, 10) == 1);
  CHECK(connections_within(1, 1'000'000) == 1);
  CHECK(open_files_for(4096) == 4160);
}
