// The simulation itself: that a seed repeats, that seeds hold, and that each checker can fail.

#include "tests/simulation/checkers/answer_once_checker.hpp"
#include "tests/simulation/checkers/deadline_checker.hpp"
#include "tests/simulation/checkers/exactly_once_checker.hpp"
#include "tests/simulation/checkers/exit_code_checker.hpp"
#include "tests/simulation/checkers/ledger_checker.hpp"
#include "tests/simulation/checkers/progress_checker.hpp"
#include "tests/simulation/checkers/readiness_checker.hpp"
#include "tests/simulation/checkers/stop_order_checker.hpp"
#include "tests/simulation/run.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;
using namespace phi::simulation;
using namespace std::chrono_literals;

namespace {

/// What checkers are shown, without a service.
struct doctored {
  doctored() {
    disks.push_back(std::make_unique<spool_disk>());
    stored.shared = true;
    auto& process = processes[1];
    process.id = 1;
    process.settings = process.at_stop = std::make_shared<const config>();
    process.began = on.now();
  }

  seen_process& process() { return processes.at(1); }

  /// A request of one event with this identity, answered like that.
  seen_request& request(uint8_t identity, std::optional<ingest_outcome> said) {
    auto number = requests.size() + 1;
    auto& out = requests[number];
    out.number = number;
    out.process = 1;
    out.identities = {digest{identity}};
    out.said = std::move(said);
    out.answers = out.said ? 1 : 0;
    return out;
  }

  /// A stop that began a while ago and has ended.
  void stopped(ending how, exit_code code, duration took) {
    process().stop_began = on.now() - took;
    process().ended = how;
    process().ended_at = on.now();
    process().code = code;
    process().states = {service_state::starting, service_state::ready, service_state::stopping};
    process().store_closed_well = true;
    if (how == ending::by_itself)
      process().report = exit_report{.code = code, .ledger = ledger_counts{}};
  }

  machine on{1, 0};
  database stored;
  std::vector<std::unique_ptr<spool_disk>> disks;
  std::map<ticket, seen_request> requests;
  std::map<process_id, seen_process> processes;
  seen_world world{on, stored, disks, requests, processes};
};

const ingest_outcome taken{.stored = 1};
const ingest_outcome refused{.error = error_code::overloaded};
const ingest_outcome unknown{.error = error_code::outcome_unknown};

std::string complaints(const checker& of) {
  std::string out;
  for (const auto& one : of.found)
    out += (out.empty() ? "" : "; ") + one.text;
  return out;
}

template <class Checker>
std::string ended(doctored& with) {
  Checker checker;
  checker.process_ended(with.world, with.process());
  return complaints(checker);
}

template <class Checker>
std::string run_ended(doctored& with) {
  Checker checker;
  checker.run_ended(with.world);
  return complaints(checker);
}

} // namespace

TEST_CASE("simulation: the same seed gives the same run, step by step") {
  std::set<uint64_t> hashes;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    auto chosen = make_plan(seed);
    auto first = run(chosen);
    auto second = run(chosen, {.tells = true}); // being told changes nothing
    CHECK(first.hash == second.hash);
    CHECK(first.steps == second.steps);
    hashes.insert(first.hash);
  }
  CHECK(hashes.size() == 20);
}

TEST_CASE("simulation: seeds hold") {
  for (uint64_t seed = 1; seed <= 800; ++seed) {
    CAPTURE(seed);
    auto result = run(make_plan(seed));
    std::string found;
    for (const auto& one : result.found)
      found += one.checker + ": " + one.text + "\n";
    REQUIRE(found == "");
  }
}

TEST_CASE("simulation: a run that fails is made smaller, to what is needed for it") {
  plan chosen = make_plan(3);
  chosen.happenings.clear();
  for (int i = 0; i < 6; ++i)
    chosen.happenings.push_back(
      {.kind = i == 4 ? happening_kind::process_killed : happening_kind::dump, .at = 1s});
  run_options broken{.sabotage = [](seen_world& world) { // a kill loses what is stored
    for (const auto& [id, process] : world.processes)
      if (process.ended == ending::crashed)
        world.stored.rows.clear();
  }};
  auto failed = run(chosen, broken);
  REQUIRE(failed.found.size() > 0);
  CHECK(failed.found.front().checker == "exactly_once_checker");
  CHECK(fewest_happenings(chosen, failed, broken) == std::set<size_t>{4});
}

TEST_CASE("exactly_once_checker: acknowledged and nowhere, refused and stored, stored twice") {
  doctored with;
  with.stored.rows[digest{1}] = 1;
  with.request(1, taken);
  with.request(2, refused);
  with.request(3, unknown);
  CHECK(run_ended<exactly_once_checker>(with) == "");
  exactly_once_checker checker;
  checker.answered(with.world, with.requests.at(1), taken);
  CHECK(complaints(checker) == "");
  checker.answered(with.world, with.requests.at(3), taken);
  CHECK(complaints(checker) == "request 3 is acknowledged, and is nowhere");
  checker.found.clear();
  checker.answered(with.world, with.requests.at(2), refused);
  CHECK(complaints(checker) == "");
  with.stored.rows[digest{2}] = 1;
  checker.answered(with.world, with.requests.at(2), refused);
  CHECK(complaints(checker) == "request 2 is refused, and is stored");
  with.stored.rows.erase(digest{2});
  with.stored.rows[digest{3}] = 1; // nobody knew
  CHECK(run_ended<exactly_once_checker>(with) == "");
  with.stored.rows[digest{2}] = 1;
  CHECK(run_ended<exactly_once_checker>(with) == "a refused event is stored");
  with.stored.rows = {{digest{1}, 2}};
  CHECK(run_ended<exactly_once_checker>(with) == "an event is stored 2 times");
  with.stored.rows.clear();
  CHECK(run_ended<exactly_once_checker>(with) == "an acknowledged event is lost");
  with.disks[0]->batches.push_back({.events = {event{.identity = digest{1}}}, .aside = "refused"});
  CHECK(run_ended<exactly_once_checker>(with) == "");
}

TEST_CASE("exactly_once_checker: who is told of more events than it sent") {
  doctored with;
  with.stored.rows[digest{1}] = 1;
  exactly_once_checker checker;
  checker.answered(with.world, with.request(1, taken), {.stored = 3});
  CHECK(complaints(checker) == "request 1 has 1 events, and is told of 3");
}

TEST_CASE("answer_once_checker: twice, and never") {
  doctored with;
  auto& request = with.request(1, taken);
  answer_once_checker checker;
  checker.answered(with.world, request, taken);
  CHECK(complaints(checker) == "");
  request.answers = 2;
  checker.answered(with.world, request, taken);
  CHECK(complaints(checker) == "request 1 is answered 2 times");
  with.request(2, std::nullopt);
  with.stopped(ending::by_itself, exit_code::clean, 1s);
  CHECK(ended<answer_once_checker>(with) == "process 1: request 2 was never answered");
  with.process().died.insert("stats"); // who owed it
  CHECK(ended<answer_once_checker>(with) == "");
}

TEST_CASE("ledger_checker: out of balance, more than was handed over, stored twice") {
  doctored with;
  auto seen = [&](const ledger_counts& counts) {
    ledger_checker checker;
    with.process().submitted = 3;
    checker.ledger_seen(with.world, with.process(), counts);
    return complaints(checker);
  };
  CHECK(seen({.received = 3, .stored = 1, .in_queue = 2}) == "");
  CHECK(seen({.received = 3, .stored = 1}) == "process 1: received 3, accounted for 1");
  CHECK(seen({.received = 4, .stored = 4}) == "process 1: received 4, handed over 3");
  ledger_checker checker;
  checker.ledger_seen(with.world, with.process(), {.received = 2, .stored = 2});
  with.stored.rows = {{digest{1}, 1}};
  checker.run_ended(with.world);
  CHECK(complaints(checker) == "the ledgers count 2 as stored, and there are 1");
}

TEST_CASE("stop_order_checker: who leaves before a stop") {
  doctored with;
  stop_order_checker checker;
  checker.actor_gone(with.world, with.process(), "store", true);
  CHECK(complaints(checker) == "process 1: store has left, and nobody has told it to");
}

TEST_CASE("deadline_checker: too early, too late, killed before the deadline") {
  doctored with;
  with.stopped(ending::by_deadline, exit_code::forced_by_deadline, 40s);
  CHECK(ended<deadline_checker>(with) == "");
  with.stopped(ending::by_deadline, exit_code::forced_by_deadline, 14s);
  CHECK(ended<deadline_checker>(with) == "process 1: is forced after 14.0 s, and had 40.0 s");
  with.stopped(ending::by_itself, exit_code::forced_by_deadline, 41s);
  CHECK(ended<deadline_checker>(with) == "process 1: has ended after 41.0 s, later than 40.0 s");
  with.stopped(ending::killed_by_manager, exit_code::forced_by_deadline, 20s);
  CHECK(ended<deadline_checker>(with) == "process 1: its manager had to kill it after 20.0 s");
  deadline_checker checker;
  with.process().draft.actors = {{.actor = "http", .killed = 30s}};
  checker.stop_moved(with.world, with.process());
  CHECK(complaints(checker) == "");
  with.process().draft.actors = {{.actor = "http", .killed = 29s}};
  checker.stop_moved(with.world, with.process());
  CHECK(complaints(checker) == "process 1: http was killed 1.0 s before the deadline");
}

TEST_CASE("exit_code_checker: each code for its reason") {
  doctored with;
  with.stopped(ending::by_itself, exit_code::clean, 1s);
  CHECK(ended<exit_code_checker>(with) == "");
  with.process().listens = true;
  CHECK(ended<exit_code_checker>(with)
        == "process 1: says that it is clean, but its listener is open");
  with.process().listens = false;
  with.process().report->ledger->in_queue = 1;
  CHECK(ended<exit_code_checker>(with)
        == "process 1: says that it is clean, but its ledger is not settled");
  with.stopped(ending::by_itself, exit_code::child_died, 1s);
  CHECK(ended<exit_code_checker>(with) == "process 1: says: an actor died, though none did");
  with.stopped(ending::by_itself, exit_code::forced_by_deadline, 29s);
  CHECK(ended<exit_code_checker>(with)
        == "process 1: says: forced by the deadline, though it had not come");
  with.stopped(ending::by_itself, exit_code::startup_failed, 1s);
  CHECK(ended<exit_code_checker>(with) == "process 1: says: start-up failed, though it was ready");
}

TEST_CASE("readiness_checker: ready in a stop, ready without the listener") {
  doctored with;
  auto& process = with.process();
  readiness_checker checker;
  process.died = {"supervisor", "http",       "stats", "reader",   "inspector", "maintenance",
                  "spool",      "membership", "store", "watchdog", "signal",    "admin"};
  process.states = {service_state::ready};
  checker.state_shown(with.world, process, service_state::ready);
  CHECK(complaints(checker) == "");
  process.died.erase("http");
  checker.state_shown(with.world, process, service_state::ready);
  CHECK(complaints(checker)
        == "process 1: is ready without http; process 1: is ready, and does not listen");
  checker.found.clear();
  process.stop_began = with.on.now();
  process.states = {service_state::ready, service_state::stopping, service_state::ready};
  checker.state_shown(with.world, process, service_state::ready);
  CHECK(complaints(checker) == "process 1: says that it is ready in its stop");
}

TEST_CASE("progress_checker: what is left when nothing is wrong any more") {
  doctored with;
  with.process().last = true;
  with.stopped(ending::by_itself, exit_code::clean, 1s);
  with.disks[0]->batches.push_back({.events = {event{}}, .aside = "refused"}); // for good
  CHECK(run_ended<progress_checker>(with) == "");
  with.disks[0]->batches.push_back({.events = {event{}}});
  with.world.clients_waiting = 2;
  CHECK(run_ended<progress_checker>(with)
        == "1 events are left in the spool of instance 0; 2 clients are not served");
  with.disks[0]->batches.clear();
  with.world.clients_waiting = 0;
  with.stopped(ending::by_deadline, exit_code::forced_by_deadline, 40s);
  CHECK(run_ended<progress_checker>(with)
        == "process 1: left with status 81 when nothing was wrong any more");
}
