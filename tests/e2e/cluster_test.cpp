// Several instances on one PostgreSQL, and what an operator sees and does of them.

#include "tests/support/doctest.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/postgres_drill.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <mutex>

using namespace phi::testing;
using json = nlohmann::json;

namespace {

json instances(const temp_dir& dir) {
  auto out = ctl(dir, {"--json", "cluster", "list"});
  return out.code == 0 ? json::parse(out.out)["instances"] : json::array();
}

std::string state_of(const temp_dir& dir, const std::string& name) {
  for (const auto& one : instances(dir))
    if (one["instance"] == name)
      return one["state"];
  return "unknown";
}

/// A client that goes to the next instance when one does not take its connection, as a load
/// balancer does.
class balanced_clients {
public:
  balanced_clients(std::vector<uint16_t> ports, int clients) : ports_(std::move(ports)) {
    for (int i = 0; i < clients; ++i)
      threads_.emplace_back([this, i] { run(i); });
  }
  ~balanced_clients() { finish(); }
  load_result finish() {
    stop_ = true;
    for (auto& thread : threads_)
      if (thread.joinable())
        thread.join();
    return result_;
  }

private:
  void run(int client) {
    load_result mine;
    auto at = static_cast<size_t>(client);
    std::unique_ptr<http_client> connection;
    for (uint64_t number = 0; !stop_; ++number) {
      while (!connection || !connection->connected())
        connection = std::make_unique<http_client>(ports_[++at % ports_.size()]);
      auto id = "b" + std::to_string(client) + "-" + std::to_string(number);
      auto answer = connection->post("/api/v1/events", R"({"feature":"load","id":")" + id
                                                         + R"(","action":")" + id + R"("})");
      ++mine.requests;
      if (answer.status == 200 || answer.status == 202)
        mine.acknowledged.insert(id);
      else if (answer.status == 0)
        ++mine.resets_after_send;
      else
        ++mine.other_answers;
      if (answer.status == 0 || answer.closes() || number % 50 == 0)
        connection.reset();
    }
    std::lock_guard lock{mutex_};
    result_.acknowledged.merge(mine.acknowledged);
    result_.requests += mine.requests;
    result_.resets_after_send += mine.resets_after_send;
    result_.other_answers += mine.other_answers;
  }

  std::vector<uint16_t> ports_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  load_result result_;
  std::vector<std::thread> threads_;
};

} // namespace

TEST_CASE(
  "instances see each other; drain and undrain reach the one that is meant; one maintains") {
  postgres_server server;
  temp_dir a_dir, b_dir;
  service_process a{a_dir.path(), instance(server, "a")};
  auto b = std::make_unique<service_process>(b_dir.path(), instance(server, "b"));
  CHECK(post(b->port(), "/api/v1/events", one_event).status == 200);
  CHECK(eventually([&] { return state_of(a_dir, "b") == "ready"; }));
  CHECK(eventually([&] { return state_of(b_dir, "a") == "ready"; }));
  auto list = get(a.port(), "/api/v1/cluster");
  CHECK(list.status == 200);
  int maintain = 0;
  auto listed = json::parse(list.body);
  for (const auto& one : listed["instances"]) {
    maintain += one["maintains"].get<bool>();
    CHECK(one["self"] == (one["instance"] == "a"));
  }
  CHECK(maintain == 1);
  CHECK(eventually([&] {
    for (const auto& one : instances(a_dir))
      if (one["instance"] == "b" && one["lastCommitAt"].is_string())
        return true;
    return false;
  }));

  CHECK(has(ctl(a_dir, {"cluster", "drain", "b"}).out, "b is asked"));
  CHECK(b->wait_for_log("is lame duck"));
  CHECK(get(b->port(), "/health/ready").status == 503);
  CHECK(get(a.port(), "/health/ready").status == 200);
  CHECK(eventually([&] { return state_of(a_dir, "b") == "lame_duck"; }));
  CHECK(ctl(a_dir, {"cluster", "undrain", "b"}).code == 0);
  CHECK(eventually([&] { return get(b->port(), "/health/ready").status == 200; }));

  auto nobody = ctl(a_dir, {"cluster", "drain", "c"});
  CHECK(nobody.code == 1);
  CHECK(has(nobody.err, "no instance c"));
  CHECK(ctl(a_dir, {"cluster", "forget", "b"}).code == 1); // it is up
  b->kill();
  CHECK(eventually([&] { return state_of(a_dir, "b") == "silent"; }));
  CHECK(ctl(a_dir, {"cluster", "forget", "b"}).code == 0);
  CHECK(state_of(a_dir, "b") == "unknown");
  CHECK(a.stop().code == 0);
  CHECK(server.ask("SELECT state FROM instance WHERE name = 'a'") == "stopped");
}

TEST_CASE("a long step of maintenance costs no lease") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(),
                          instance(server, "a", {{"PHI_FAULTS", "maintenance.step=block:14000"}})};
  REQUIRE(service.wait_for_log("takes over the maintenance"));
  // A lease holds for ten seconds.
  CHECK_FALSE(eventually([&] { return state_of(dir, "a") == "silent"; }, 12s));
  CHECK(state_of(dir, "a") == "ready");
  CHECK(service.stop().code == 0);
}

TEST_CASE("three instances, a rolling restart under load: never two down, nothing failed, lost or "
          "twice") {
  postgres_server server;
  temp_dir dirs[3];
  uint16_t ports[3];
  std::vector<std::unique_ptr<service_process>> services;
  std::vector<settings> with;
  for (int i = 0; i < 3; ++i) {
    ports[i] = free_port();
    with.push_back(
      instance(server, "i" + std::to_string(i), {{"APP_SERVER_PORT", std::to_string(ports[i])}}));
    services.push_back(std::make_unique<service_process>(dirs[i].path(), with[i]));
  }
  for (int i = 0; i < 3; ++i)
    REQUIRE(eventually([&] { return state_of(dirs[0], "i" + std::to_string(i)) == "ready"; }));
  balanced_clients clients{{ports[0], ports[1], ports[2]}, 6};
  // The three begin at once; the restart slot lets one after the other. The command asks the test
  // to restart its instance, and waits for it.
  std::vector<std::thread> operators;
  std::atomic<int> failed{0};
  std::atomic<int> down{0};
  std::atomic<int> most_down{0};
  for (int i = 0; i < 3; ++i)
    operators.emplace_back([&, i] {
      auto wanted = dirs[i].path("restart-wanted");
      auto done = dirs[i].path("restart-done");
      std::thread restarter{[&] {
        if (!eventually([&] { return std::filesystem::exists(wanted); }, 120s))
          return;
        most_down = std::max(most_down.load(), ++down);
        failed += services[i]->stop().code != 0;
        services[i] = std::make_unique<service_process>(dirs[i].path(), with[i]);
        --down;
        std::ofstream{done} << "";
      }};
      auto ended =
        ctl(dirs[i], {"--timeout", "120", "cluster", "restart-slot", "--", "/bin/sh", "-c",
                      "touch " + wanted + "; while ! [ -e " + done + " ]; do sleep 0.05; done"});
      failed += ended.code != 0;
      restarter.join();
    });
  for (auto& one : operators)
    one.join();
  auto seen = clients.finish();
  for (auto& service : services)
    drain_and_stop(*service);
  MESSAGE("rolling restart of three: " << seen.requests << " requests, " << seen.acknowledged.size()
                                       << " acknowledged, " << seen.other_answers
                                       << " answered otherwise, " << seen.resets_after_send
                                       << " without an answer");
  CHECK(failed == 0);
  CHECK(most_down == 1);
  CHECK(seen.other_answers == 0);
  CHECK(seen.resets_after_send == 0);
  check_exactly_once(server, seen);
}

TEST_CASE(
  "the restart slot: refused while another has it or is down, kept when the command fails") {
  postgres_server server;
  temp_dir a_dir, b_dir;
  service_process a{a_dir.path(), instance(server, "a")};
  service_process b{b_dir.path(), instance(server, "b")};
  REQUIRE(eventually([&] { return state_of(a_dir, "b") == "ready"; }));
  auto failed = ctl(a_dir, {"cluster", "restart-slot", "--", "/bin/false"});
  CHECK(failed.code == 1);
  CHECK(has(failed.err, "the restart slot is kept"));
  auto refused = ctl(b_dir, {"--timeout", "0.5", "cluster", "restart-slot", "--", "/bin/true"});
  CHECK(refused.code == 1);
  CHECK(has(refused.err, "a has the restart slot"));
  CHECK(ctl(a_dir, {"cluster", "restart-slot", "--give-back"}).code == 0);
  CHECK(ctl(b_dir, {"cluster", "restart-slot", "--", "/bin/true"}).code == 0);
  CHECK(ctl(a_dir, {"cluster", "drain", "b"}).code == 0);
  REQUIRE(eventually([&] { return state_of(a_dir, "b") == "lame_duck"; }));
  auto down = ctl(a_dir, {"--timeout", "0.5", "cluster", "restart-slot", "--", "/bin/true"});
  CHECK(down.code == 1);
  CHECK(has(down.err, "b is lame_duck"));
  CHECK(ctl(a_dir, {"cluster", "restart-slot"}).code == 2);
}

TEST_CASE("the restart slot of an instance that was killed is given back by another; that of one "
          "that is up "
          "is not") {
  postgres_server server;
  temp_dir a_dir, b_dir;
  service_process a{a_dir.path(), instance(server, "a")};
  service_process b{b_dir.path(), instance(server, "b")};
  REQUIRE(eventually([&] { return state_of(a_dir, "b") == "ready"; }));
  CHECK(ctl(b_dir, {"cluster", "restart-slot", "--", "/bin/false"}).code == 1); // b keeps it
  auto up = ctl(a_dir, {"cluster", "restart-slot", "--give", "b"});
  CHECK(up.code == 1);
  CHECK(has(up.err, "b has the restart slot and is up"));
  auto none = ctl(a_dir, {"cluster", "restart-slot", "--give", "c"});
  CHECK(none.code == 1);
  CHECK(has(none.err, "c does not have the restart slot"));
  b.kill();
  REQUIRE(eventually([&] { return state_of(a_dir, "b") == "silent"; }));
  CHECK(ctl(a_dir, {"cluster", "restart-slot", "--give", "b"}).code == 0);
  CHECK(ctl(a_dir, {"cluster", "forget", "b"}).code == 0);
  CHECK(ctl(a_dir, {"cluster", "restart-slot", "--", "/bin/true"}).code == 0);
}

TEST_CASE("a second instance of the same name does not start; the same one does at once after "
          "kill -9, and when the first has left") {
  postgres_server server;
  temp_dir a_dir, b_dir;
  auto a = std::make_unique<service_process>(a_dir.path(), instance(server, "web"));
  service_process b{b_dir.path(), instance(server, "web"), false};
  CHECK(b.wait().code == 1);
  CHECK(b.logged("another instance that runs is named web"));
  CHECK(b.logged("process " + std::to_string(a->pid()) + ","));
  CHECK(b.logged("server.instance"));
  // The innocent one takes no notice, and neither does one of another name.
  CHECK(eventually([&] { return answers_committed(*a); }));
  service_process other{b_dir.path(), instance(server, "other")};
  CHECK(eventually([&] { return answers_committed(other); }));
  CHECK(other.stop().code == 0);
  auto run = server.ask("SELECT run FROM instance WHERE name = 'web'");
  a->kill();
  auto began = std::chrono::steady_clock::now();
  a = std::make_unique<service_process>(a_dir.path(), instance(server, "web"));
  CHECK(std::chrono::steady_clock::now() - began < 8s); // the lease has 10 s
  CHECK(eventually([&] { return answers_committed(*a); }));
  CHECK(server.ask("SELECT run FROM instance WHERE name = 'web'") != run);
  CHECK(a->stop().code == 0);
  service_process second{b_dir.path(), instance(server, "web")};
  CHECK(eventually([&] { return answers_committed(second); }));
  CHECK(second.stop().code == 0);
}

TEST_CASE("tail -f shows in order what another instance commits late, and does not wait for ever") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(),
                          instance(server, "a", {{"APP_STATS_TRACK_REQUESTS", "false"}})};
  auto send = [&](const std::string& action) {
    CHECK(ctl(dir, {"send", "--feature", "f", "--action", action}).code == 0);
  };
  send("first");
  program_result followed;
  std::thread follower{[&] {
    followed = shell("timeout 15 " + phictl() + " --json --socket " + dir.path("admin.sock")
                     + " tail -f -n 1");
  }};
  std::this_thread::sleep_for(500ms);
  // As another instance that takes its numbers and commits after us, or never.
  const std::string insert =
    "INSERT INTO event(time_us, identity, feature, action) VALUES (1, gen_random_uuid(), 'f', '";
  postgres_session other{server.url()};
  other.run("BEGIN");
  other.run(insert + "late')");
  send("early");
  std::this_thread::sleep_for(700ms);
  other.run("COMMIT");
  other.run("BEGIN");
  other.run(insert + "never')");
  other.run("ROLLBACK");
  send("last");
  follower.join();
  INFO(followed.out);
  size_t at = 0;
  for (auto action : {"first", "late", "early", "last"}) {
    auto found = followed.out.find("\"" + std::string{action} + "\"", at);
    REQUIRE(found != std::string::npos);
    at = found + 1;
  }
  CHECK(std::count(followed.out.begin(), followed.out.end(), '\n') == 4);
}

TEST_CASE("three instances that are sent the same ids at once store each once") {
  postgres_server server;
  temp_dir dirs[3];
  std::vector<std::unique_ptr<service_process>> services;
  std::vector<std::unique_ptr<load>> clients;
  for (int i = 0; i < 3; ++i)
    services.push_back(std::make_unique<service_process>(
      dirs[i].path(),
      on_postgres(server.url(), {{"APP_SERVER_INSTANCE", "i" + std::to_string(i)}})));
  CHECK(server.number("SELECT count(*) FROM phi_schema") == 3);
  for (auto& service : services)
    clients.push_back(std::make_unique<load>(service->port(), "load", 2));
  std::this_thread::sleep_for(1500ms);
  load_result all;
  uint64_t answered = 0;
  for (auto& one : clients) {
    auto seen = one->finish();
    answered += seen.acknowledged.size();
    all.acknowledged.merge(seen.acknowledged);
    all.refused.merge(seen.refused);
  }
  for (auto& service : services)
    drain_and_stop(*service);
  MESSAGE("three instances: " << answered << " acknowledged, " << all.acknowledged.size()
                              << " different ids");
  CHECK(answered > all.acknowledged.size());
  check_exactly_once(server, all);
}
