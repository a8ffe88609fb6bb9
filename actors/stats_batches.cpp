#include "actors/stats_parts.hpp"

#include "config/defaults.hpp"
#include "protocol/text/duration.hpp"

#include <algorithm>
#include <iterator>

namespace phi::counting {
namespace {

void arm_overdue_timer(self_ptr self, duration wait) {
  if (!std::exchange(self->state.overdue_armed, true))
    tell_later(self, wait, atom::overdue_v);
}

void hand_to_store(self_ptr self) {
  auto& state = self->state;
  auto& batch = state.under_way->cut.batch;
  if (!state.store)
    return settle_batch(self, {.number = batch->number,
                               .error = error_code::store_unavailable,
                               .detail = "the store is gone"});
  tell(self, state.store, atom::commit_v, batch, commit_listener_actor{self});
  state.under_way->handed_at = now_of(self);
  arm_overdue_timer(self, state.spool ? state.settings.spool_after : state.settings.commit_overdue);
}

/// Until when the next batch waits for more to leave the spool; nothing: it does not.
std::optional<time_point> held_back_until(self_ptr self) {
  auto& state = self->state;
  auto most = state.settings.queue.batch_events;
  auto oldest = state.queue.oldest();
  if (!oldest || !credit_holds(self)
      || state.credit.left(most) >= std::min(most, state.queue.first_events()))
    return std::nullopt;
  auto until =
    std::min(state.credit.until(), *oldest + defaults::drain_hold * state.settings.spool_after);
  return now_of(self) < until ? std::optional{until} : std::nullopt;
}

void commit_next(self_ptr self) {
  auto& state = self->state;
  auto now = now_of(self);
  auto most = credit_holds(self) ? state.credit.left(state.settings.queue.batch_events) : SIZE_MAX;
  state.under_way.emplace(
    stats_state::commit_under_way{.cut = state.queue.cut(most), .since = now});
  if (state.spool && state.away)
    hand_to_spool(self, stage::at_spool);
  else
    hand_to_store(self);
}

void arm_flush_timer(self_ptr self, time_point at) {
  auto& state = self->state;
  if (state.flush_armed)
    return;
  state.flush_armed = true;
  auto wait = std::max(duration::zero(), at - now_of(self));
  tell_later(self, wait, atom::flush_v, ++state.flush_timer);
}

/// At the end, what is left of the events about our own requests holds nobody up.
uint64_t drop_own(self_ptr self) {
  auto& state = self->state;
  auto dropped = state.queue.drop_own();
  state.ledger.drop(dropped);
  if (dropped > 0)
    log_warn("stats", "drops events about the service's own requests: they could not be stored",
             {{"events", dropped}, {"cause", state.last_commit.why()}});
  return dropped;
}

/// Leaves when `release` has come and nothing can be done any more; whether it did.
bool leave_if_done(self_ptr self) {
  auto& state = self->state;
  if (!state.intake_over || state.under_way)
    return false;
  bool hopeless =
    state.store_refuses && (state.escalated || !state.store || state.queue.only_own());
  if (!state.queue.empty() && !hopeless)
    return false;
  auto dropped = drop_own(self);
  const auto& ledger = state.ledger.counts();
  auto flushed = ledger.stored + ledger.duplicates - state.settled_before_stop;
  stopped_report words{.did = {{"events_flushed", flushed}},
                       .waits = {{actor_name::store, state.waited_for_store}},
                       .ledger = ledger};
  if (!state.queue.empty())
    words.ended = outcome::failure(std::to_string(ledger.in_queue)
                                   + " events could not be stored: " + state.last_commit.why());
  if (dropped > 0)
    words.did.push_back({"own_events_dropped", dropped});
  leave(self, std::move(words));
  return true;
}

std::vector<refused_event> refused_of(const commit_result& result, uint32_t request) {
  std::vector<refused_event> out;
  std::copy_if(result.refused.begin(), result.refused.end(), std::back_inserter(out),
               [&](const refused_event& refused) { return refused.request == request; });
  return out;
}

void batch_committed(self_ptr self, const commit_result& result) {
  auto& state = self->state;
  auto& cut = state.under_way->cut;
  answers out;
  uint64_t events = 0;
  for (size_t i = 0; i < cut.fates.size(); ++i) {
    auto [stored, duplicates, refused] = result.requests[i];
    state.ledger.settle(stored, duplicates);
    state.ledger.refuse(refused, error_code::refused_by_store);
    events += stored + duplicates;
    if (cut.fates[i] == fate::awaited)
      out.add(cut.waiting[i], cut.batch->requests[i].to,
              {.stored = stored,
               .duplicates = duplicates,
               .refused = refused_of(result, static_cast<uint32_t>(i))});
  }
  if (!result.refused.empty())
    log_warn("stats", "rejects events that the database cannot hold",
             {{"events", result.refused.size()}, {"cause", result.refused.front().detail}});
  state.rate.add(events, result.took);
  state.commits.add(result.took);
  state.flushes.add(now_of(self) - state.under_way->since);
  if (std::exchange(state.away_said, false))
    log_info("stats", "sends events to the database again");
  if (std::exchange(state.store_refuses, false))
    log_info("stats", "is no longer refused by the store");
  state.retry_at.reset();
  state.queue.done(*cut.batch);
  out.deliver();
}

/// What nobody waits for is tried again, less and less often: each try costs a batch's work.
void try_again_later(self_ptr self) {
  auto& state = self->state;
  auto now = now_of(self);
  if (state.retry_at && now < *state.retry_at)
    return; // somebody's request was tried before its time
  state.retry_wait = state.retry_at
                       ? std::min<duration>(2 * state.retry_wait, state.settings.commit_retry_max)
                       : state.settings.commit_retry;
  state.retry_at = now + state.retry_wait;
}

void batch_refused(self_ptr self, const commit_result& result) {
  auto& state = self->state;
  auto& under_way = *state.under_way;
  if (!under_way.cut.batch->abandoned()) {
    if (!state.store_refuses)
      log_error("stats", "is refused by the store",
                {{"events", under_way.cut.batch->events}, {"cause", result.detail}});
    state.store_refuses = true;
    state.last_commit = outcome::failure(result.detail);
    try_again_later(self);
  }
  answers out;
  auto& cut = under_way.cut;
  auto why = under_way.in_doubt ? error_code::outcome_unknown : result.error;
  for (size_t i = 0; i < cut.fates.size(); ++i) {
    const auto& request = cut.batch->requests[i];
    if (cut.fates[i] == fate::awaited)
      out.add(cut.waiting[i], request.to, refusal(state, why));
    if (cut.fates[i] == fate::awaited || cut.fates[i] == fate::unknown)
      state.ledger.refuse(event_count(request),
                          cut.fates[i] == fate::awaited ? why : error_code::outcome_unknown);
  }
  state.queue.put_back(std::move(cut), now_of(self));
  out.deliver();
}

} // namespace

ingest_outcome refusal(const stats_state& state, error_code why) {
  return {.error = why, .retry_after_s = state.rate.retry_after_s(state.queue.events())};
}

bool credit_holds(self_ptr self) {
  const auto& state = self->state;
  return state.spool && !state.stop_at && !state.releasing && state.credit.holds(now_of(self));
}

void maybe_commit(self_ptr self) {
  auto& state = self->state;
  if (state.under_way)
    return;
  if (state.queue.empty()) {
    leave_if_done(self);
    return;
  }
  auto now = now_of(self);
  auto due = *state.queue.oldest() + state.settings.flush_interval;
  if (state.releasing)
    due = now;
  if (state.retry_at)
    due = std::max(due, *state.retry_at);
  if (auto until = held_back_until(self))
    return arm_flush_timer(self, *until);
  if (state.queue.someone_waits() || (state.queue.full_batch() && !state.retry_at) || now >= due)
    commit_next(self);
  else if (!leave_if_done(self))
    arm_flush_timer(self, due);
}

void end_batch(self_ptr self, const commit_result& result) {
  auto& state = self->state;
  if (state.stop_at)
    state.waited_for_store += now_of(self) - std::max(*state.stop_at, state.under_way->since);
  if (result.error == error_code::none)
    batch_committed(self, result);
  else
    batch_refused(self, result);
  state.under_way.reset();
  maybe_commit(self);
}

void settle_batch(self_ptr self, const commit_result& result) {
  auto& state = self->state;
  if (!state.under_way || state.under_way->cut.batch->number != result.number)
    return;
  activity_scope scope{*state.who.activity, "settling a batch"};
  fault_point("stats.committed");
  auto& under_way = *state.under_way;
  under_way.in_doubt |= result.error == error_code::outcome_unknown;
  bool committed = result.error == error_code::none;
  switch (under_way.at) {
    case stage::at_spool:
    case stage::late: return; // from a store that is gone
    case stage::at_both:      // it counts as spooled all the same, unless the spool fails
      under_way.at = committed ? stage::late : stage::at_spool;
      under_way.said = result;
      return;
    case stage::at_store:
    case stage::given_up: break;
  }
  // A batch that was abandoned leaves the store as it was: that says nothing about the database.
  if (committed || !state.spool || under_way.cut.batch->abandoned())
    return end_batch(self, result);
  if (!result.reached)
    state.credit.over();
  divert_to_spool(self, result.detail);
  hand_to_spool(self, stage::at_spool);
}

void give_up_batch(self_ptr self, error_code why) {
  auto& state = self->state;
  if (!state.under_way || state.under_way->in_spool()) // the spool answers soon
    return;
  state.under_way->at = stage::given_up;
  auto& cut = state.under_way->cut;
  bool abandoned = cut.batch->abandon();
  // Whatever this try comes to: an earlier one may have committed it.
  bool not_stored = abandoned && !state.under_way->in_doubt;
  answers out;
  for (size_t i = 0; i < cut.fates.size(); ++i) {
    if (cut.fates[i] != fate::awaited)
      continue;
    const auto& request = cut.batch->requests[i];
    cut.fates[i] = abandoned ? fate::given_up : fate::unknown;
    auto told = not_stored ? why : error_code::outcome_unknown;
    out.add(std::exchange(cut.waiting[i], nullptr), request.to, refusal(state, told));
    if (abandoned)
      state.ledger.refuse(event_count(request), told);
  }
  out.deliver();
}

void check_overdue(self_ptr self) {
  auto& state = self->state;
  state.overdue_armed = false;
  // With a spool also what was given up goes there: some of it may have to be stored.
  if (!state.under_way || state.under_way->in_spool()
      || (state.under_way->at == stage::given_up && !state.spool))
    return;
  auto limit = state.spool ? state.settings.spool_after : state.settings.commit_overdue;
  auto left = state.under_way->handed_at + limit - now_of(self);
  if (left > duration::zero())
    return arm_overdue_timer(self, left);
  if (state.spool) {
    divert_to_spool(self, "no answer within " + show_duration(limit));
    state.under_way->cut.batch->abandon();
    return hand_to_spool(self, stage::at_both);
  }
  log_error(
    "stats", "gives up waiting for the store",
    {{"events", state.under_way->cut.batch->events},
     {"waited_ms", (now_of(self) - state.under_way->since) / std::chrono::milliseconds{1}}});
  give_up_batch(self, error_code::store_unavailable);
}

/// The store was restarted. The old one answers no more, so its batch is ours again; whether it was
/// committed does not matter: the identities of its events are known then.
void attach_store(self_ptr self, store_actor store) {
  auto& state = self->state;
  state.store = std::move(store);
  if (!state.under_way)
    return maybe_commit(self);
  auto& under_way = *state.under_way;
  under_way.in_doubt |= under_way.cut.batch->committing();
  switch (under_way.at) {
    case stage::at_both: under_way.at = stage::at_spool; return;
    case stage::at_spool:
    case stage::late: return;
    case stage::at_store:
    case stage::given_up: break;
  }
  if (under_way.cut.batch->abandoned())
    return end_batch(self, {.number = under_way.cut.batch->number,
                            .error = error_code::store_unavailable,
                            .detail = "the store died"});
  under_way.cut.batch->reopen();
  under_way.cut.batch->again = under_way.in_doubt;
  hand_to_store(self);
}

} // namespace phi::counting
