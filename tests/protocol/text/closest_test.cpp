#include "protocol/text/closest.hpp"
#include "tests/support/doctest.hpp"

#include <chrono>
#include <string>
#include <vector>

using namespace phi;

TEST_CASE("suggestions: near names only, and the work is bounded") {
  const std::vector<std::string> known{"feature", "durationMs", "status"};
  CHECK(closest("featur", known) == "feature");
  CHECK(closest("durationms", known) == "durationMs");
  CHECK(closest("statuses", known) == "status");
  CHECK(closest("xyz", known).empty());
  CHECK(closest("STATUS", known) == "status");
  CHECK(closest("staut", known) == "status"); // two letters that changed places, and one is missing
  CHECK(all_closest("stast", std::vector<std::string>{"start", "stats", "status"})
        == std::vector<std::string>{"start", "stats"});
  CHECK(edit_distance("abcd", "badc") == 2);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(closest("x", std::vector<std::string>{"id"}).empty()); // two letters of one
  // A section that two keys share is no likeness.
  const std::vector<std::string> keys{"server.host", "server.port", "logging.level"};
  CHECK(closest("server.nope", keys).empty());
  CHECK(closest("server.prot", keys) == "server.port");
  CHECK(closest("serve.port", keys) == "server.port");
  CHECK(closest("logging.levle", keys) == "logging.level");
  CHECK(closest("ids", std::vector<std::string>{"id"}) == "id");
  CHECK(closest("tz", std::vector<std::string>{"id", "by"}).empty());
  CHECK(closest("utc", std::vector<std::string>{"Etc", "UTC"}) == "UTC");
  CHECK(closest(std::string(65, 's'), known).empty());
  CHECK(closest(std::string(64, 's'), std::vector{std::string(63, 's')}).size() == 63);
  CHECK(closest(std::string(65, 's'), std::vector{std::string(64, 's')}).empty());
  CHECK(closest("", std::vector<std::string>{"GB", "UTC", "x"}).empty());
  auto began = std::chrono::steady_clock::now();
  CHECK(closest(std::string(8 << 20, 's'), std::vector<std::string>(600, std::string(40, 's')))
          .empty());
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::milliseconds{200});
}
