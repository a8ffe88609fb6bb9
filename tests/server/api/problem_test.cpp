#include "server/api/problem.hpp"
#include "tests/support/doctest.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <utility>
#include <vector>

using namespace phi;
using namespace phi::api;

TEST_CASE("problem+json survives what clients put into it") {
  auto text =
    problem_json(error_code::invalid_query, "bad \xff bytes \"quoted\"", "id",
                 {{.index = 3, .code = error_code::too_long, .pointer = "/a", .message = "m"}});
  auto body = nlohmann::json::parse(text);
  CHECK(body["status"] == 422);
  CHECK(body["errors"][0]["index"] == 3);
}

TEST_CASE("what the store refuses is named by its place in the request, among what was invalid") {
  // Of six events the first, the fourth and the last were invalid; of the other three (1, 2, 4) the
  // store refuses the first and the third.
  std::vector<problem_detail> invalid{{.index = 0, .code = error_code::unknown_field},
                                      {.index = 3, .code = error_code::too_long},
                                      {.index = 5, .code = error_code::too_long}};
  std::vector<refused_event> refused{{.at = 0, .detail = "first"}, {.at = 2, .detail = "third"}};
  ingest_outcome outcome{.stored = 1, .refused = refused};
  auto body = nlohmann::json::parse(ingest_json(outcome, invalid));
  CHECK(body["stored"] == 1);
  std::vector<std::pair<int, std::string>> got;
  for (const auto& one : body["rejected"])
    got.emplace_back(one["index"], one["code"]);
  CHECK(got
        == std::vector<std::pair<int, std::string>>{{0, "unknown_field"},
                                                    {1, "refused_by_store"},
                                                    {3, "too_long"},
                                                    {4, "refused_by_store"},
                                                    {5, "too_long"}});
  CHECK(body["rejected"][3]["message"] == "third");
}
