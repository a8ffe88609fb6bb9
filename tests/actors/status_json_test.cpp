// What programs read: the codes beside the texts.

#include "actors/status_json.hpp"
#include "tests/support/doctest.hpp"

#include <nlohmann/json.hpp>

using namespace phi;
using namespace std::chrono_literals;
using json = nlohmann::ordered_json;

TEST_CASE("an exit report says by codes who held the stop, in which work, and what waits are for") {
  exit_report report{.took = 2s};
  exit_row store{.actor = "store", .state = exit_state::gone, .released = 0s, .gone = 2s};
  store.report = stopped_report{.actor = "store", .waits = {waited_for(work_code::commit, 1500ms)}};
  exit_row http{.actor = "http", .state = exit_state::late, .gone = 2s};
  http.waits = {{"store", 20ms}, {"client 127.0.0.1:1", 30ms, wait_kind::client}};
  http.work = work_code::close_database;
  http.trouble = "it said so";
  http.trouble_code = exit_trouble::failed;
  report.actors = {http, store};
  auto told = to_json(report);
  CHECK(told["actors"][0].dump()
        == R"({"actor":"http","state":"late","goneMs":2000.0,"waited":[)"
           R"({"for":"store","kind":"actor","ms":20.0},)"
           R"({"for":"client 127.0.0.1:1","kind":"client","ms":30.0}],)"
           R"("trouble":"it said so","troubleCode":"failed","work":"close_database"})");
  CHECK(told["actors"][1]["waited"].dump()
        == R"([{"for":"COMMIT","kind":"work","work":"commit","ms":1500.0}])");
  CHECK(told["verdict"] == "clean");
  CHECK(told["heldBy"].dump()
        == R"({"who":"store","kind":"actor","what":"COMMIT","ms":1500.0,"work":"commit"})");
  report.actors[0].waits[1].for_how_long = 3s;
  CHECK(to_json(report)["heldBy"].dump()
        == R"({"who":"client 127.0.0.1:1","kind":"client","what":"","ms":3000.0})");
}

TEST_CASE("a status says by codes how an actor is, whether it is idle, and what ails it") {
  service_status status;
  status.children = {{.actor = "http", .state = actor_state::restarting},
                     {.actor = "store",
                      .state = actor_state::stopping,
                      .says = actor_status{.doing = "idle", .idle = true}}};
  auto told = to_json(status)["actors"];
  CHECK(told[0].dump() == R"({"actor":"http","state":"restarting","restarts":0})");
  CHECK(told[1]["state"] == "stopping");
  CHECK(told[1]["says"]["idle"] == true);
  CHECK_FALSE(told[1]["says"].contains("degradedCode"));
  status.children[1].says->degraded = "some words";
  status.children[1].says->code = ailment::database_away;
  CHECK(to_json(status)["actors"][1]["says"]["degradedCode"] == "database_away");
}

TEST_CASE("GET /health does not tell everybody what is for operators") {
  auto told = json::parse(health_json({.doing = "idle", .idle = true}, {}));
  for (auto inside : {"idle", "degradedCode", "mailbox", "last", "thread"})
    CHECK_FALSE(told["queue"].contains(inside));
}
