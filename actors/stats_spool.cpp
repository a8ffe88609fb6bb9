#include "actors/stats_parts.hpp"

#include "config/defaults.hpp"

namespace phi::counting {
namespace {

void batch_spooled(self_ptr self) {
  auto& state = self->state;
  auto& cut = state.under_way->cut;
  answers out;
  for (size_t i = 0; i < cut.fates.size(); ++i) {
    auto events = event_count(cut.batch->requests[i]);
    state.ledger.spool(events);
    state.credit.spooled(events, now_of(self));
    if (cut.fates[i] == fate::awaited)
      out.add(cut.waiting[i], cut.batch->requests[i].to, {.stored = events, .spooled = true});
  }
  state.queue.done(*cut.batch);
  state.under_way.reset();
  out.deliver();
}

} // namespace

void hand_to_spool(self_ptr self, stage from_now) {
  auto& state = self->state;
  auto& under_way = *state.under_way;
  under_way.at = from_now;
  if (under_way.cut.batch->abandoned()) // some of it may have been given up: it must not be stored
    under_way.cut = state.queue.without_given_up(under_way.cut);
  tell(self, state.spool, atom::append_v, under_way.cut.batch, spool_listener_actor{self});
}

void divert_to_spool(self_ptr self, const std::string& why) {
  auto& state = self->state;
  state.away = true;
  if (!std::exchange(state.away_said, true))
    log_warn("stats", "sends events to the spool", {{"cause", why}});
  state.last_commit = outcome::failure(why);
}

void settle_spooled(self_ptr self, const spool_result& result) {
  auto& state = self->state;
  if (!state.under_way || !state.under_way->in_spool()
      || state.under_way->cut.batch->number != result.number)
    return;
  activity_scope scope{*state.who.activity, "settling a batch"};
  fault_point("stats.spooled");
  if (result.error == error_code::none) {
    batch_spooled(self);
    return maybe_commit(self);
  }
  state.away = false; // then the database is tried again, whatever comes of it
  auto& under_way = *state.under_way;
  under_way.in_doubt |= result.error == error_code::outcome_unknown;
  switch (under_way.at) {
    case stage::late: return end_batch(self, commit_result{under_way.said});
    case stage::at_both: // the store still has it: the rest waits for what it says
      under_way.at = stage::at_store;
      return give_up_batch(self, result.error);
    default:
      end_batch(self, {.number = result.number, .error = result.error, .detail = result.detail});
  }
}

void take_replayed(self_ptr self, const replay_result& result) {
  auto& state = self->state;
  state.spool_counted = true;
  state.ledger.recover(result.recovered);
  for (auto& promise : std::exchange(state.started, {}))
    promise.deliver(pong_of(state.who));
  state.ledger.requeue(result.requeued); // and stored perhaps, with the same word
  state.ledger.replay(result.stored, result.duplicates);
  state.ledger.set_aside(result.set_aside);
  auto taken = result.stored + result.duplicates;
  if (taken == 0)
    return;
  state.credit.replayed(taken, result.took, defaults::drain_patience * state.settings.spool_after,
                        now_of(self));
  if (state.ledger.counts().spooled == 0)
    state.credit.refill(state.settings.queue.batch_events);
  // Only what the database took, and quickly, says that it is back.
  if (result.took <= state.settings.spool_after)
    state.away = false;
  maybe_commit(self); // it may have waited for that
}

void attach_spool(self_ptr self, spool_actor spool) {
  auto& state = self->state;
  state.spool = std::move(spool);
  if (!state.spool)
    state.away = false; // nothing goes there any more
  if (!state.under_way || !state.under_way->in_spool())
    return;
  state.under_way->in_doubt = true; // it may have put it on disk before it died
  const auto& batch = state.under_way->cut.batch;
  if (state.spool)
    return tell(self, state.spool, atom::append_v, batch, spool_listener_actor{self});
  settle_spooled(
    self,
    {.number = batch->number, .error = error_code::spool_failed, .detail = "the spool is gone"});
}

} // namespace phi::counting
