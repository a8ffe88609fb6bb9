#include "actors/stats_parts.hpp"

#include "actors/health_causes.hpp"
#include "actors/status_json.hpp"
#include "config/defaults.hpp"
#include "protocol/text/duration.hpp"

#include <random>

namespace phi {
namespace {

using namespace counting;

// -- taking in ----------------------------------------------------------------------------------

void take_request(self_ptr self, ingest_request request, const reply_sink_ptr& sink, answers& out) {
  auto& state = self->state;
  auto valid = event_count(request);
  state.ledger.receive(valid, request.rejected);
  auto refuse = [&](error_code why) {
    state.ledger.refuse(valid, why);
    if (request.awaited)
      out.add(sink, request.to, refusal(state, why));
  };
  if (valid == 0)
    return;
  if (request.awaited && state.escalated)
    return refuse(error_code::stopping);
  if (!state.queue.has_room(valid, request.bytes))
    return refuse(error_code::overloaded);
  bool answer_now = request.awaited && state.settings.answer_after == durability::queued;
  if (answer_now)
    out.add(sink, request.to, {.stored = valid, .queued = true});
  bool awaited = request.awaited && !answer_now;
  state.queue.push(std::move(request), awaited ? sink : nullptr, now_of(self));
}

void take_turn(self_ptr self, ingest_turn& turn) {
  activity_scope scope{*self->state.who.activity, "taking events in"};
  fault_point("stats.ingest");
  answers out;
  for (auto& request : turn.requests)
    take_request(self, std::move(request), turn.replies, out);
  turn.requests.clear();
  maybe_commit(self);
  out.deliver();
}

// -- stopping -----------------------------------------------------------------------------------

void refuse_the_waiting(self_ptr self) {
  auto& state = self->state;
  if (std::exchange(state.escalated, true))
    return;
  answers out;
  for (auto& [request, waiting] : state.queue.take_awaited()) {
    state.ledger.refuse(event_count(request), error_code::stopping);
    out.add(waiting, request.to, refusal(state, error_code::stopping));
  }
  give_up_batch(self, error_code::stopping);
  out.deliver();
}

void stop_accepting(self_ptr self, const stop_order& order) {
  auto& state = self->state;
  fault_point("stats.stop");
  if (!state.stop_at) {
    state.stop_at = now_of(self);
    state.settled_before_stop = state.ledger.counts().stored + state.ledger.counts().duplicates;
  }
  if (order.mode >= stop_mode::fast)
    refuse_the_waiting(self);
  maybe_commit(self);
}

void finish(self_ptr self, const release_order& order) {
  auto& state = self->state;
  fault_point("stats.release");
  if (order.mode >= stop_mode::fast)
    refuse_the_waiting(self);
  if (std::exchange(state.releasing, true))
    return maybe_commit(self);
  // `release` overtakes what http handed on before it left; this message does not.
  tell(self, stats_actor{self}, atom::drained_v);
}

/// A store that refused is tried again although nobody sends: while the service says that it is not
/// ready, nobody does. Asked for with every status, which comes once a second.
void try_refusing_store(self_ptr self) {
  auto& state = self->state;
  if (!state.store_refuses || !state.store || state.under_way || !state.queue.empty()
      || now_of(self) < state.tried_at + defaults::health_interval)
    return;
  state.tried_at = now_of(self);
  auto nothing = std::make_shared<commit_batch>(); // the store writes all the same
  tell(self, state.store, atom::commit_v, commit_batch_ptr{nothing}, commit_listener_actor{self});
}

/// What became of that.
void settle_trial(self_ptr self, const commit_result& result) {
  auto& state = self->state;
  if (!state.store_refuses || result.error != error_code::none)
    return;
  state.store_refuses = false;
  state.retry_at.reset();
  log_info("stats", "is no longer refused by the store");
}

// -- telling ------------------------------------------------------------------------------------

/// Why not everything is stored at once; empty: it is. `in_full`: with the words of the database,
/// which may name hosts and files; else its kind, for everybody.
std::string what_is_degraded(self_ptr self, bool in_full) {
  const auto& state = self->state;
  auto told = [&](const std::string& kind) {
    return in_full ? kind + ": " + state.last_commit.why() : kind;
  };
  if (state.away)
    return told("the database is away, events go to the spool");
  if (state.under_way && state.under_way->at == stage::given_up)
    return "the database has not answered for "
           + show_duration(now_of(self) - state.under_way->since);
  return state.store_refuses ? told("the database takes no events") : std::string{};
}

/// The code of it.
ailment ailment_of(const stats_state& state) {
  if (state.away)
    return ailment::database_away;
  if (state.under_way && state.under_way->at == stage::given_up)
    return ailment::database_silent;
  return state.store_refuses ? ailment::database_refuses : ailment::none;
}

/// What others must see of it also when it can no longer say it.
void show(const stats_state& state) {
  auto& seen_at = *state.who.activity;
  seen_at.ledgers.write(state.ledger.counts());
  const auto& batch = state.under_way;
  if (!batch)
    return seen_at.waits_for(nullptr);
  bool at_store = batch->at == stage::at_store || batch->at == stage::given_up;
  seen_at.waits_for(at_store ? actor_name::store : actor_name::spool, batch->since);
}

/// Whether who sends events now is refused, or waits in vain.
bool refuses(self_ptr self) {
  const auto& state = self->state;
  return (state.store_refuses && !state.away)
         || (state.under_way && state.under_way->at == stage::given_up);
}

/// `in_full`: with the words of the database.
std::string what_it_does(self_ptr self, bool in_full) {
  const auto& state = self->state;
  const auto backlog = state.queue.events();
  std::string doing = backlog == 0 ? "idle" : std::to_string(backlog) + " events queued";
  if (state.under_way)
    doing += ", " + std::to_string(state.under_way->cut.batch->events)
             + " of them at the store for " + show_duration(now_of(self) - state.under_way->since);
  if (!state.under_way && backlog > 0 && credit_holds(self))
    doing += ", held back while the spool is being emptied";
  if (state.away)
    doing += ", the database is away: events go to the spool";
  else if (state.store_refuses)
    doing += in_full ? ", the store refuses: " + state.last_commit.why() : ", the store refuses";
  return doing;
}

/// For how long the oldest event has waited that is in no batch yet.
uint64_t oldest_ms(self_ptr self) {
  auto oldest = self->state.queue.oldest();
  if (!oldest)
    return 0;
  return static_cast<uint64_t>((now_of(self) - *oldest) / std::chrono::milliseconds{1});
}

actor_status current_status(self_ptr self) {
  const auto& state = self->state;
  const auto backlog = state.queue.events();
  return status_of(
    self, {.doing = what_it_does(self, true),
           .idle = backlog == 0 && !state.under_way,
           .progress = state.ledger.counts().stored + state.ledger.counts().duplicates,
           .gauges = {{"queue_events", backlog},
                      {"queue_bytes", state.queue.bytes()},
                      {"drain_per_second", static_cast<uint64_t>(state.rate.per_second())},
                      {gauge_name::refusing, refuses(self)},
                      {gauge_name::oldest_ms, oldest_ms(self)},
                      {gauge_name::counted_as_other, state.counted_as_other},
                      {gauge_name::identities_lost, state.identities_lost}},
           .backlog_s = state.rate.seconds_for(backlog),
           .degraded = what_is_degraded(self, true),
           .ails = what_is_degraded(self, false),
           .code = ailment_of(state),
           .ledger = state.ledger.counts(),
           .rejected = state.ledger.rejected(),
           .times = {{times_name::commit, state.commits}, {times_name::flush, state.flushes}}});
}

void answer_health(self_ptr self, asked<health_query>& asked) {
  auto status = current_status(self);
  auto causes = std::move(asked.question.causes); // of the whole, as last seen; our own we know
  std::erase_if(causes, [](const auto& cause) { return cause.who == actor_name::stats; });
  bool in_full = asked.question.in_full;
  if (!status.degraded.empty())
    causes.push_back(cause_of(status));
  if (!in_full) { // everybody may ask
    status.doing = what_it_does(self, false);
    status.degraded = status.ails;
  }
  asked.reply.answer({.body = health_json(status, texts_of(causes, in_full))});
}

} // namespace

stats_settings stats_settings_of(const config& settings) {
  using std::chrono::milliseconds;
  const auto& s = settings.stats;
  return {.queue = {.max_events = static_cast<size_t>(s.queue_max_events),
                    .max_bytes = static_cast<size_t>(s.queue_max_bytes),
                    .batch_events = static_cast<size_t>(s.batch_size)},
          .flush_interval = milliseconds{s.flush_interval_ms},
          .commit_overdue = milliseconds{s.busy_timeout_ms} + defaults::commit_overdue_margin,
          .spool_after = milliseconds{settings.spool.after_ms},
          .commit_retry = defaults::commit_retry_interval,
          .commit_retry_max = defaults::commit_retry_max,
          .answer_after = settings.resolved.durability};
}

stats_actor::behavior_type stats_behavior(self_ptr self, child_identity who, store_actor store,
                                          spool_actor spool, stats_settings settings) {
  set_up_child(self, std::move(who));
  auto& state = self->state;
  state.store = std::move(store);
  state.settings = settings;
  state.spool = std::move(spool);
  std::random_device random;
  state.queue = batch_queue{settings.queue, uint64_t{random()} << 32 | random()};
  state.who.activity->after_each_handler([self] { show(self->state); });
  return handlers(
    self, [self](atom::stop, const stop_order& order) { stop_accepting(self, order); },
    [self](atom::release, const release_order& order) { finish(self, order); },
    [self](atom::ping) {
      fault_point("stats.ping");
      auto& state = self->state;
      auto promise = self->make_response_promise<pong>();
      if (state.spool && !state.spool_counted)
        state.started.push_back(promise);
      else
        promise.deliver(pong_of(state.who));
      return promise;
    },
    [self](atom::status) {
      try_refusing_store(self);
      return current_status(self);
    },
    [self](atom::apply, const config_ptr& settings) {
      auto& state = self->state;
      state.settings = stats_settings_of(*settings);
      state.queue.set_limits(state.settings.queue);
      maybe_commit(self);
      return pong_of(state.who);
    },
    [self](atom::committed, const commit_result& result) {
      auto& others = self->state.counted_as_other;
      others = std::max(others, result.counted_as_other);
      auto& lost = self->state.identities_lost;
      lost = std::max(lost, result.identities_lost);
      result.number == 0 ? settle_trial(self, result) : settle_batch(self, result);
    },
    [self](atom::spooled, const spool_result& result) { settle_spooled(self, result); },
    [self](atom::replayed, const replay_result& result) { take_replayed(self, result); },
    [self](atom::ingest, const ingest_turn_ptr& turn) { take_turn(self, *turn); },
    [self](atom::attach, const store_actor& started) { attach_store(self, started); },
    [self](atom::attach, const spool_actor& started) { attach_spool(self, started); },
    [self](atom::ask, const asked_ptr<health_query>& asked) { answer_health(self, *asked); },
    [self](atom::flush, uint64_t timer) {
      if (timer != self->state.flush_timer)
        return;
      self->state.flush_armed = false;
      maybe_commit(self);
    },
    [self](atom::overdue) { check_overdue(self); },
    [self](atom::drained) {
      self->state.intake_over = true;
      maybe_commit(self);
    });
}

} // namespace phi
