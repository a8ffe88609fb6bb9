// STORE on virtual time: commits what comes, and leaves with its database closed.

#include "actors/store.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/fake_ports.hpp"
#include "tests/support/lone_actor.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

struct told_of_commits {
  std::vector<commit_result> results;
};

commit_listener_actor::behavior_type listener(commit_listener_actor::pointer,
                                              std::shared_ptr<told_of_commits> told) {
  return {
    [told](atom::committed, const commit_result& result) { told->results.push_back(result); }};
}

commit_batch_ptr batch_of(uint64_t number, std::vector<std::string> features) {
  auto out = std::make_shared<commit_batch>();
  out->number = number;
  out->events = features.size();
  out->requests.resize(1);
  for (auto& feature : features) {
    event e;
    e.feature = std::move(feature);
    out->requests[0].events.push_back(e);
  }
  return out;
}

/// A database whose opening a stop has interrupted.
struct interrupted_database : fake_database {
  explicit interrupted_database(activity_ptr of) : seen_at(std::move(of)) {}
  void watched_by(work_watch_ptr by) override { watch = std::move(by); }
  outcome open() override {
    seen_at->press(urge::stop);
    while_opening = watch->check();
    return outcome::failure("interrupted");
  }
  activity_ptr seen_at;
  work_watch_ptr watch;
  end_cause while_opening = end_cause::none;
};

} // namespace

TEST_CASE("store: each batch has its answer, whatever became of it") {
  virtual_system on;
  auto database = std::make_shared<fake_database>();
  auto told = std::make_shared<told_of_commits>();
  lone_actor<store_actor> store{on, "store", store_behavior, store_port_ptr{database}};
  auto stats = on.keep(on.system.spawn(listener, told));
  store.tell(atom::commit_v, batch_of(1, {"a", "b", "a"}), stats);
  database->away = true;
  store.tell(atom::commit_v, batch_of(2, {"c"}), stats);
  REQUIRE(told->results.size() == 2);
  CHECK(told->results[0].number == 1);
  CHECK(told->results[0].requests[0].stored == 2);
  CHECK(told->results[0].requests[0].duplicates == 1);
  CHECK(told->results[1].error == error_code::store_unavailable);
  store.tell(atom::stop_v, stop_order{}); // nothing to refuse
  database->away = false;
  store.tell(atom::commit_v, batch_of(3, {"c"}), stats);
  CHECK(told->results.at(2).requests[0].stored == 1);
  CHECK_FALSE(database->closed);
  store.tell(atom::release_v, release_order{});
  CHECK(database->closed);
  CHECK(store.gone());
  const auto& did = store.heard->stopped.at(0).did;
  CHECK(did[0].count == 2); // batches
  CHECK(did[1].count == 4); // events
}

TEST_CASE("store: a stop that interrupts its opening is no failure of the start") {
  virtual_system on;
  auto seen_at = std::make_shared<activity>();
  auto database = std::make_shared<interrupted_database>(seen_at);
  auto heard = std::make_shared<heard_by_supervisor>();
  auto supervisor = on.keep(on.system.spawn(quiet_supervisor, heard));
  auto store = on.keep(on.system.spawn(store_behavior, child_identity{"store", supervisor, seen_at},
                                       store_port_ptr{database}));
  on.run();
  CHECK(database->while_opening == end_cause::stopping);
  CHECK(database->watch->check() == end_cause::none); // from now on commits are not ended by it
  tell_from_outside(store, atom::release_v, release_order{});
  on.run();
  CHECK(heard->stopped.size() == 1);
}
