#include "actors/spool.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"

#include <algorithm>
#include <bit>

namespace phi {
namespace {

using self_ptr = spool_actor::stateful_pointer<spool_state>;

void arm(self_ptr self, duration wait) {
  if (!std::exchange(self->state.timer_armed, true))
    tell_later(self, wait, atom::replay_v);
}

void try_again_later(self_ptr self) {
  if (!self->state.timer_armed && !self->state.at_store)
    arm(self, self->state.wait.next());
}

/// Tells the listener what has been set aside since, or is not any more.
void tell_aside(self_ptr self, replay_result also = {}) {
  auto& state = self->state;
  if (!state.listener)
    return;
  auto aside = state.port->depth().aside_events;
  auto before = std::exchange(state.aside_told, aside);
  also.set_aside = aside > before ? aside - before : 0;
  also.requeued = before > aside ? before - aside : 0;
  if (also.recovered + also.stored + also.duplicates + also.set_aside + also.requeued > 0)
    tell(self, state.listener, atom::replayed_v, std::move(also));
}

void append(self_ptr self, const commit_batch& batch, const spool_listener_actor& listener) {
  auto& state = self->state;
  activity_scope scope{*state.who.activity, "writing to the spool"};
  fault_point("spool.append");
  auto result = state.port->append(batch);
  if (result.error == error_code::none)
    state.appended += batch.events;
  fault_point("spool.appended");
  tell(self, listener, atom::spooled_v, std::move(result));
  try_again_later(self);
}

/// What was set aside for a while is tried again, one at a time.
void arm_deferred(self_ptr self) {
  auto& state = self->state;
  if (state.deferred_at || state.port->depth().deferred == 0)
    return;
  state.deferred_at = now_of(self) + defaults::deferred_wait;
  tell_later(self, defaults::deferred_wait, atom::replay_v);
}

/// False: it is still where it was.
bool set_aside(self_ptr self, uint64_t number, const std::string& why, bool for_a_while) {
  auto& state = self->state;
  if (auto done = state.port->set_aside(number, why, for_a_while); !done) {
    log_error("spool", "cannot set a batch aside", {{"batch", number}, {"cause", done.why()}});
    return false;
  }
  if (for_a_while)
    log_warn("spool", "sets a batch aside for a while: the database takes others, and not this one",
             {{"batch", number}, {"cause", why}});
  else
    log_error("spool", "sets a batch aside that no further try would store",
              {{"batch", number}, {"cause", why}});
  state.lone_lost = state.go_round = 0;
  tell_aside(self);
  arm_deferred(self);
  return true;
}

/// Takes the batch that was committed out of the file, and goes on with the next one.
void take_out(self_ptr self) {
  auto& state = self->state;
  activity_scope scope{*state.who.activity, "taking a batch out of the spool"};
  fault_point("spool.committed");
  if (auto removed = state.port->remove_front(state.refused); !removed) {
    // It is replayed once more if the process ends now, and counts once all the same.
    log_warn("spool", "cannot take a committed batch out yet", {{"cause", removed.why()}});
    return arm(self, state.wait.next());
  }
  state.wait.succeeded();
  state.replayed += state.settled->stored + state.settled->duplicates;
  tell_aside(self, *state.settled);
  state.settled.reset();
  state.refused.clear();
  state.at_store.reset();
  state.one_by_one -= state.one_by_one > 0;
  if (state.port->depth().batches > 0)
    return arm(self, duration::zero());
  log_info("spool", "has replayed everything", {{"events", state.replayed}});
}

/// Whether nothing is proved against the first, although another batch was taken right before: the
/// way to the database failed, or the database spoke of itself, and not yet too often for chance (a
/// lock may come and go in step with the tries).
bool is_chance(const commit_result& result, size_t before) {
  return !result.reached || (result.passing && before < defaults::lone_tries);
}

/// The first stays where it is. Others go before it, each time more of them, so that it does not
/// hold them up.
void go_round(self_ptr self, const std::string& why) {
  auto& state = self->state;
  state.skip = 1;
  state.go_round = (size_t{1} << std::min(state.lone_lost, defaults::most_doubled)) - 1;
  if (++state.lone_lost == defaults::lone_tries)
    log_warn("spool", "goes round a batch: the database fails with it each time, not with others",
             {{"cause", why}});
  try_again_later(self);
}

/// What to try now; null: nothing.
commit_batch_ptr next_batch(self_ptr self) {
  auto& state = self->state;
  state.was_deferred = false;
  if (state.deferred_at && now_of(self) >= *state.deferred_at) {
    state.deferred_at.reset();
    arm_deferred(self);
    if (auto deferred_batch = state.port->deferred()) {
      state.was_deferred = true;
      return deferred_batch;
    }
  }
  auto read = [&] {
    bool alone = state.one_by_one + state.tries > 0;
    return state.port->front(alone ? 1 : defaults::replay_batches, state.skip);
  };
  auto out = read();
  if (!out && state.skip > 0) { // not one was taken: the database is away
    state.skip = state.tries = state.merged_fails = 0;
    ++state.rounds;
    out = read();
  }
  return out;
}

void replay(self_ptr self) {
  auto& state = self->state;
  state.timer_armed = false;
  if (state.settled)
    return take_out(self);
  if (state.at_store || state.stopping || !state.store || !state.listener)
    return;
  activity_scope scope{*state.who.activity, "reading the spool"};
  state.at_store = next_batch(self);
  tell_aside(self); // a damaged one
  if (!state.at_store) {
    if (state.port->depth().batches > 0)
      arm(self, state.wait.next());
    return;
  }
  fault_point("spool.replay");
  tell(self, state.store, atom::commit_v, state.at_store, commit_listener_actor{self});
}

void committed_whole(self_ptr self, const commit_result& result) {
  auto& state = self->state;
  if (state.at_store->parts.size() > 1)
    state.merged_fails = 0;
  if (!state.was_deferred) {
    state.well = state.skip > 0;
    if (!state.well)
      state.lone_lost = 0;
    state.tries = 0;
    if (state.well && state.go_round > 0) {
      --state.go_round;
    } else {
      state.tries = state.well; // the first is tried alone now
      state.skip = 0;
    }
  }
  state.settled.emplace(replay_result{.took = result.took});
  for (const auto& counts : result.requests) {
    state.settled->stored += counts.stored;
    state.settled->duplicates += counts.duplicates;
  }
  state.refused = result.refused;
  if (!result.refused.empty())
    log_error("spool", "sets events aside that the database cannot hold",
              {{"events", result.refused.size()}, {"cause", result.refused.front().detail}});
  take_out(self);
}

/// Several batches together: which of them it is will be seen.
void merged_not_committed(self_ptr self, const commit_batch& failed, const commit_result& result) {
  auto& state = self->state;
  ++state.tries;
  if (!result.never && ++state.merged_fails < defaults::replay_tries)
    return try_again_later(self);
  log_warn("spool", "replays one by one: the database does not take several batches together",
           {{"batches", failed.parts.size()}, {"cause", result.detail}});
  state.one_by_one = failed.parts.size();
  state.merged_fails = state.tries = 0;
  arm(self, duration::zero());
}

/// Goes on towards the end of the spool by doubling, so that few tries show whether anything is
/// taken: to twice as many, or one more. Which of the two differs from round to round, so that in
/// the end each batch is tried, wherever those lie with which the database fails.
void skip_more(spool_state& state) {
  auto doubled = std::bit_width(state.skip);
  bool one_more = state.skip > 0 && (state.rounds >> (doubled - 1)) % 2 == 1;
  state.skip = std::max<size_t>(1, 2 * state.skip + one_more);
}

/// The store did not take it, this time or for good.
void not_committed(self_ptr self, const commit_result& result) {
  auto& state = self->state;
  auto failed = std::exchange(state.at_store, nullptr);
  log_debug("spool", "cannot replay", {{"cause", result.detail}});
  if (state.was_deferred) {
    auto kept = state.port->set_aside(failed->number, result.detail, !result.never);
    return kept ? arm(self, duration::zero()) : try_again_later(self);
  }
  if (failed->parts.size() > 1)
    return merged_not_committed(self, *failed, result);
  bool first_alone = std::exchange(state.well, false) && state.skip == 0;
  if (first_alone && is_chance(result, state.lone_lost))
    return go_round(self, result.detail);
  if (result.never || first_alone) {
    if (set_aside(self, failed->number, result.detail, !result.never)) {
      state.one_by_one -= state.one_by_one > 0;
      return arm(self, duration::zero());
    } // else others go round it, and it has its turn again
  }
  if (++state.tries >= defaults::replay_tries)
    skip_more(state);
  try_again_later(self);
}

void committed(self_ptr self, const commit_result& result) {
  auto& state = self->state;
  if (!state.at_store || result.number != state.at_store->number || state.settled)
    return;
  if (result.error == error_code::none)
    committed_whole(self, result);
  else
    not_committed(self, result);
}

void attach_store(self_ptr self, store_actor store) {
  auto& state = self->state;
  state.store = std::move(store);
  if (!state.settled) // the old one answers no more
    state.at_store.reset();
  arm(self, duration::zero());
}

/// Takes a step of what an operator has asked; what is not done then goes on behind everything that
/// has come meanwhile, so that nobody's events wait for it.
void answer_some(self_ptr self, spool_state::question current) {
  auto& state = self->state;
  if (current.asked->abandoned())
    return;
  std::optional<query_answer> answer;
  {
    activity_scope scope{*state.who.activity, "answering a question"};
    answer = state.port->answer(current.asked->question, current.so_far);
  }
  if (!answer) {
    state.questions.push_back(std::move(current));
    if (state.questions.size() == 1)
      tell(self, spool_actor{self}, atom::check_v);
    return;
  }
  current.asked->reply.answer(std::move(*answer));
  if (std::holds_alternative<spool_requeue>(current.asked->question)) {
    state.wait.succeeded();
    tell_aside(self);
    replay(self);
  }
}

void answer_next(self_ptr self) {
  auto& questions = self->state.questions;
  auto current = std::move(questions.front());
  questions.pop_front();
  if (!questions.empty())
    tell(self, spool_actor{self}, atom::check_v);
  answer_some(self, std::move(current));
}

void close_and_leave(self_ptr self) {
  auto& state = self->state;
  outcome closed;
  auto left = state.port->depth();
  {
    activity_scope scope{*state.who.activity, "closing the spool"};
    fault_point("spool.release");
    closed = state.port->close();
  }
  if (left.events > 0)
    log_info("spool", "keeps events for the next start",
             {{"events", left.events}, {"batches", left.batches}});
  leave(self, {.did = {{"appended", state.appended},
                       {"replayed", state.replayed},
                       {"left", left.events},
                       {"set_aside", left.set_aside}},
               .ended = std::move(closed)});
}

actor_status current_status(self_ptr self) {
  const auto& state = self->state;
  auto depth = state.port->depth();
  std::string doing =
    depth.batches == 0 ? "empty" : std::to_string(depth.events) + " events wait for the database";
  return status_of(self, {.doing = doing,
                          .idle = depth.batches == 0,
                          .progress = state.who.activity->progress(),
                          .gauges = {{"batches", depth.batches},
                                     {gauge_name::events, depth.events},
                                     {"bytes", depth.bytes},
                                     {gauge_name::set_aside, depth.set_aside},
                                     {"set_aside_events", depth.aside_events},
                                     {"appended", state.appended},
                                     {"replayed", state.replayed}},
                          .degraded = state.port->condition().why(),
                          .ails = "the spool is not as it should be",
                          .code = ailment::spool_degraded});
}

} // namespace

spool_actor::behavior_type spool_behavior(self_ptr self, child_identity who, spool_port_ptr port,
                                          store_actor store) {
  set_up_child(self, std::move(who));
  auto& state = self->state;
  state.port = std::move(port);
  state.port->watched_by(state.who.activity);
  state.store = std::move(store);
  outcome opened;
  {
    activity_scope scope{*state.who.activity, "opening the spool"};
    fault_point("spool.open");
    opened = state.port->open();
  }
  bool stops = state.who.activity->pressed() != urge::none;
  if (!opened && !stops)
    fail_to_start(self, opened.why());
  if (!opened && stops)
    log_info("spool", "gives up opening the spool for the stop", {{"cause", opened.why()}});
  return handlers(
    self,
    [self](atom::stop, const stop_order&) {
      fault_point("spool.stop");
      self->state.stopping = true; // what is in the file stays there; stats may still append
    },
    [self](atom::release, const release_order&) { close_and_leave(self); },
    [self](atom::ping) {
      fault_point("spool.ping");
      return pong_of(self->state.who);
    },
    [self](atom::status) { return current_status(self); },
    [self](atom::apply, const config_ptr& settings) {
      self->state.port->apply_settings(*settings);
      return pong_of(self->state.who);
    },
    [self](atom::committed, const commit_result& result) { committed(self, result); },
    [self](atom::append, const commit_batch_ptr& batch, const spool_listener_actor& listener) {
      append(self, *batch, listener);
    },
    [self](atom::attach, const store_actor& started) { attach_store(self, started); },
    [self](atom::attach, const spool_listener_actor& listener) {
      auto& state = self->state;
      state.listener = listener;
      auto found = state.port->recovered();
      if (found == 0) // an empty file, or this actor was restarted: stats knows
        state.aside_told = state.port->depth().aside_events;
      tell(self, listener, atom::replayed_v, replay_result{.recovered = found});
      tell_aside(self);
      arm_deferred(self);
      arm(self, duration::zero());
    },
    [self](atom::replay) { replay(self); },
    [self](atom::ask, const asked_ptr<spool_task>& asked) {
      answer_some(self, {asked, {}});
    },
    [self](atom::check) { answer_next(self); });
}

} // namespace phi
