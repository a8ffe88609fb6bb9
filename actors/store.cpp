#include "actors/store.hpp"

#include "protocol/text/duration.hpp"

namespace phi {
namespace {

using self_ptr = store_actor::stateful_pointer<store_state>;

void commit(self_ptr self, commit_batch& batch, const commit_listener_actor& listener) {
  auto& state = self->state;
  auto began = clock::now();
  activity_scope scope{*state.who.activity, describe(work_code::commit), work_code::commit};
  fault_point("store.commit");
  auto result = state.port->commit(batch);
  if (result.error == error_code::none) {
    ++state.batches;
    state.events += batch.events;
  }
  log_debug("store", "commits a batch",
            {{"batch", result.number},
             {"events", batch.events},
             {"result", to_string(result.error)},
             {"took", show_duration(result.took)}});
  fault_point("store.committed");
  state.committing_in_stop += state.who.activity->in_the_stop(began);
  tell(self, listener, atom::committed_v, std::move(result));
}

void close_and_leave(self_ptr self) {
  auto& state = self->state;
  auto began = clock::now();
  outcome closed;
  {
    activity_scope scope{*state.who.activity, "closing the database", work_code::close_database};
    fault_point("store.release");
    closed = state.port->close();
  }
  leave(self, {.did = {{"batches", state.batches}, {"events", state.events}},
               .waits = {waited_for(work_code::commit, state.committing_in_stop),
                         waited_for(work_code::close_database, clock::now() - began)},
               .ended = std::move(closed)});
}

/// A commit that waits for others gets on, and a stop does not end it. It ends the opening, where a
/// migration or a log that is replayed may take long.
class store_watch : public work_watch {
public:
  explicit store_watch(activity_ptr on) : on_(std::move(on)) {}
  void opened() noexcept { opening_ = false; }
  end_cause check() noexcept override {
    auto cause = on_->check();
    return opening_ ? cause : end_cause::none;
  }

private:
  activity_ptr on_;
  bool opening_ = true;
};

} // namespace

store_actor::behavior_type store_behavior(self_ptr self, child_identity who, store_port_ptr port) {
  set_up_child(self, std::move(who));
  auto& state = self->state;
  state.port = std::move(port);
  auto watch = std::make_shared<store_watch>(state.who.activity);
  state.port->watched_by(watch);
  outcome opened;
  {
    activity_scope scope{*state.who.activity, "opening the database"};
    fault_point("store.open");
    opened = state.port->open();
  }
  watch->opened();
  bool stops = state.who.activity->pressed() != urge::none;
  if (!opened && !stops)
    fail_to_start(self, opened.why());
  if (!opened && stops)
    log_info("store", "gives up opening the database for the stop", {{"cause", opened.why()}});
  return handlers(
    self,
    [](atom::stop, const stop_order&) {
      fault_point("store.stop"); // nothing to refuse: only stats knows it
    },
    [self](atom::release, const release_order&) { close_and_leave(self); },
    [self](atom::ping) {
      fault_point("store.ping");
      return pong_of(self->state.who);
    },
    [self](atom::status) {
      const auto& state = self->state;
      state.port->tidy_up();
      auto condition = state.port->condition();
      return status_of(self, {.doing = state.port->activity(),
                              .idle = bool{condition},
                              .progress = state.who.activity->progress(),
                              .gauges = {{"batches", state.batches}, {"events", state.events}},
                              .degraded = condition.why(),
                              .ails = "the database is not as it should be",
                              .code = ailment::database_degraded});
    },
    [self](atom::apply, const config_ptr& settings) {
      self->state.port->apply_settings(*settings);
      return pong_of(self->state.who);
    },
    [self](atom::commit, const commit_batch_ptr& batch, const commit_listener_actor& listener) {
      commit(self, *batch, listener);
    });
}

} // namespace phi
