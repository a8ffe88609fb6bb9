#include "actors/stats.hpp"

#include "actors/status_json.hpp"
#include "config/defaults.hpp"

#include <map>
#include <random>

namespace phi {
namespace {

using self_ptr = stats_actor::stateful_pointer<stats_state>;
using fate = cut_batch::fate;

/// Answers gathered by sink, so that each event loop gets one call.
class answers {
public:
  void add(const reply_sink_ptr& sink, ticket to, ingest_outcome outcome) {
    by_sink_[sink].push_back({to, outcome});
  }
  ~answers() {
    for (auto& [sink, list] : by_sink_)
      sink->deliver(std::move(list));
  }

private:
  std::map<reply_sink_ptr, std::vector<ingest_answer>> by_sink_;
};

uint32_t event_count(const ingest_request& request) {
  return static_cast<uint32_t>(request.events.size());
}

ingest_outcome refusal(const stats_state& state, error_code why) {
  return {.error = why, .retry_after_s = state.rate.retry_after_s(state.queue.events())};
}

void maybe_commit(self_ptr self);
void settle_batch(self_ptr self, const commit_result& result);
void give_up_batch(self_ptr self, error_code why);

// -- taking in ----------------------------------------------------------------------------------

void take_request(self_ptr self, ingest_request request, const reply_sink_ptr& sink, answers& out) {
  auto& state = self->state;
  auto valid = event_count(request);
  state.book.receive(valid, request.rejected);
  auto refuse = [&](error_code why) {
    state.book.refuse(valid);
    if (request.awaited)
      out.add(sink, request.to, refusal(state, why));
  };
  if (valid == 0)
    return;
  if (request.awaited && state.hurried)
    return refuse(error_code::stopping);
  if (!state.queue.has_room(valid, request.bytes))
    return refuse(error_code::overloaded);
  bool answer_now = request.awaited && state.with.answer_after == durability::queued;
  if (answer_now)
    out.add(sink, request.to, {.stored = valid, .queued = true});
  bool awaited = request.awaited && !answer_now;
  state.queue.push(std::move(request), awaited ? sink : nullptr, now_of(self));
}

void take_turn(self_ptr self, ingest_turn& turn) {
  doing now{*self->state.who.activity, "taking events in"};
  fault_point("stats.ingest");
  answers out;
  for (auto& request : turn.requests)
    take_request(self, std::move(request), turn.replies, out);
  turn.requests.clear();
  maybe_commit(self);
}

// -- handing on ---------------------------------------------------------------------------------

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
  arm_overdue_timer(self, state.spool ? state.with.spool_after : state.with.commit_overdue);
}

/// The database does not take the batch, or nobody knows whether it did: the spool gets it. What
/// the store may still do with it does no harm: the batch is replayed under its own id.
void hand_to_spool(self_ptr self) {
  auto& state = self->state;
  auto& under_way = *state.under_way;
  under_way.at_spool = true;
  if (under_way.abandoned) // some of it may have been given up: that must not be stored
    under_way.cut = state.queue.without_given_up(under_way.cut);
  tell(self, state.spool, atom::append_v, under_way.cut.batch, spool_listener_actor{self});
}

void go_away(self_ptr self, const std::string& why) {
  auto& state = self->state;
  state.away = true;
  if (!std::exchange(state.away_said, true))
    log_warn("stats", "sends events to the spool", {{"cause", why}});
  state.refusal = why;
}

void commit_next(self_ptr self) {
  auto& state = self->state;
  state.under_way.emplace(stats_state::commit_under_way{state.queue.cut(), now_of(self)});
  if (state.spool && state.away)
    hand_to_spool(self);
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

/// Leaves when `release` has come and nothing can be done any more; whether it did.
bool leave_if_done(self_ptr self) {
  auto& state = self->state;
  bool empty = state.queue.empty() && !state.under_way;
  bool hopeless = (state.hurried || !state.store) && state.store_refuses && !state.under_way;
  if (!state.doors_seen_shut || (!empty && !hopeless))
    return false;
  const auto& book = state.book.counts();
  auto flushed = book.stored + book.duplicates - state.settled_before_stop;
  auto trouble =
    empty ? std::string{}
          : std::to_string(book.in_queue) + " events could not be stored: " + state.refusal;
  leave(self, {.did = {{"events_flushed", flushed}},
               .waits = {{"store", state.waited_for_store}},
               .ledger = book,
               .trouble = trouble});
  return true;
}

/// Commits at once when somebody waits, a batch is full, or it is time; else sets the timer.
void maybe_commit(self_ptr self) {
  auto& state = self->state;
  if (state.under_way)
    return;
  if (state.queue.empty()) {
    leave_if_done(self);
    return;
  }
  auto now = now_of(self);
  auto due = *state.queue.oldest() + state.with.flush_interval;
  if (state.releasing)
    due = now;
  if (state.retry_at)
    due = std::max(due, *state.retry_at);
  if (state.queue.someone_waits() || (state.queue.full_batch() && !state.retry_at) || now >= due)
    commit_next(self);
  else if (!leave_if_done(self))
    arm_flush_timer(self, due);
}

// -- what became of a batch ---------------------------------------------------------------------

void batch_committed(self_ptr self, const commit_result& result) {
  auto& state = self->state;
  auto& cut = state.under_way->cut;
  answers out;
  uint64_t events = 0;
  for (size_t i = 0; i < cut.fates.size(); ++i) {
    auto [stored, duplicates] = result.requests[i];
    state.book.settle(stored, duplicates);
    events += stored + duplicates;
    if (cut.fates[i] == fate::awaited)
      out.add(cut.waiting[i], cut.batch->requests[i].to,
              {.stored = stored, .duplicates = duplicates});
  }
  state.rate.add(events, result.took);
  if (std::exchange(state.away_said, false))
    log_info("stats", "sends events to the database again");
  state.store_refuses = false;
  state.retry_at.reset();
  state.queue.done(*cut.batch);
}

void batch_refused(self_ptr self, const commit_result& result) {
  auto& state = self->state;
  auto& under_way = *state.under_way;
  if (!under_way.abandoned) {
    if (!state.store_refuses)
      log_error("stats", "is refused by the store",
                {{"events", under_way.cut.batch->events}, {"cause", result.detail}});
    state.store_refuses = true;
    state.refusal = result.detail;
    state.retry_at = now_of(self) + state.with.commit_retry;
  }
  answers out;
  auto& cut = under_way.cut;
  auto why = under_way.maybe_committed ? error_code::outcome_unknown : result.error;
  for (size_t i = 0; i < cut.fates.size(); ++i) {
    const auto& request = cut.batch->requests[i];
    if (cut.fates[i] == fate::awaited)
      out.add(cut.waiting[i], request.to, refusal(state, why));
    if (cut.fates[i] == fate::awaited || cut.fates[i] == fate::unknown)
      state.book.refuse(event_count(request));
  }
  state.queue.put_back(std::move(cut), now_of(self));
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

/// What the store says. With a spool, what it refuses goes there.
void settle_batch(self_ptr self, const commit_result& result) {
  auto& state = self->state;
  if (!state.under_way || state.under_way->cut.batch->number != result.number)
    return;
  doing now{*state.who.activity, "settling a batch"};
  fault_point("stats.committed");
  auto& under_way = *state.under_way;
  under_way.maybe_committed |= result.error == error_code::outcome_unknown;
  if (under_way.at_spool) // too late, unless the spool fails
    return void(under_way.said = result);
  // A batch that was given up leaves the store as it was: it says nothing about the database.
  if (result.error == error_code::none || !state.spool || under_way.abandoned)
    return end_batch(self, result);
  under_way.said = result;
  go_away(self, result.detail);
  hand_to_spool(self);
}

void batch_spooled(self_ptr self) {
  auto& state = self->state;
  auto& cut = state.under_way->cut;
  answers out;
  for (size_t i = 0; i < cut.fates.size(); ++i) {
    auto events = event_count(cut.batch->requests[i]);
    state.book.spool(events);
    if (cut.fates[i] == fate::awaited)
      out.add(cut.waiting[i], cut.batch->requests[i].to, {.stored = events, .spooled = true});
  }
  state.queue.done(*cut.batch);
  state.under_way.reset();
}

/// What the spool says.
void settle_spooled(self_ptr self, const spool_result& result) {
  auto& state = self->state;
  if (!state.under_way || !state.under_way->at_spool
      || state.under_way->cut.batch->number != result.number)
    return;
  doing now{*state.who.activity, "settling a batch"};
  fault_point("stats.spooled");
  if (result.error == error_code::none) {
    batch_spooled(self);
    return maybe_commit(self);
  }
  state.away = false; // then the database is tried again, whatever comes of it
  auto& under_way = *state.under_way;
  under_way.at_spool = false;
  under_way.spool_refused = true;
  if (under_way.said && under_way.said->error == error_code::none)
    return end_batch(self, *under_way.said); // the store was late, and has it
  if (!under_way.handed_at || under_way.said)
    return end_batch(
      self, {.number = result.number, .error = error_code::spool_full, .detail = result.detail});
  // The store still has it: those who wait are answered, the rest waits for what it says.
  give_up_batch(self, error_code::spool_full);
}

/// Events have left the spool for the database, which therefore is there.
void take_replayed(self_ptr self, const replay_result& result) {
  auto& state = self->state;
  state.book.recover(result.recovered);
  state.book.replay(result.stored, result.duplicates);
  if (result.recovered > 0 || result.took > state.with.spool_after)
    return;
  state.away = false;
}

void use_spool(self_ptr self, spool_actor spool) {
  auto& state = self->state;
  state.spool = std::move(spool);
  if (state.under_way && state.under_way->at_spool)
    hand_to_spool(self);
}

/// Nobody may wait for the batch under way any longer. Those who do are answered: refused when the
/// store can still be kept from committing it, "outcome unknown" when not. The requests stay the
/// store's until it answers.
void give_up_batch(self_ptr self, error_code why) {
  auto& state = self->state;
  if (!state.under_way || state.under_way->at_spool) // the spool answers soon
    return;
  auto& cut = state.under_way->cut;
  bool abandoned = state.under_way->abandoned = cut.batch->abandon();
  answers out;
  for (size_t i = 0; i < cut.fates.size(); ++i) {
    if (cut.fates[i] != fate::awaited)
      continue;
    const auto& request = cut.batch->requests[i];
    cut.fates[i] = abandoned ? fate::given_up : fate::unknown;
    out.add(std::exchange(cut.waiting[i], nullptr), request.to,
            refusal(state, abandoned ? why : error_code::outcome_unknown));
    if (abandoned)
      state.book.refuse(event_count(request));
  }
}

void check_overdue(self_ptr self) {
  auto& state = self->state;
  state.overdue_armed = false;
  if (!state.under_way)
    return;
  auto limit = state.spool ? state.with.spool_after : state.with.commit_overdue;
  if (state.under_way->at_spool || !state.under_way->handed_at)
    return;
  auto left = *state.under_way->handed_at + limit - now_of(self);
  if (left > duration::zero())
    return arm_overdue_timer(self, left);
  if (state.spool && !state.under_way->spool_refused) {
    go_away(self, "no answer within " + show_duration(limit));
    state.under_way->abandoned |= state.under_way->cut.batch->abandon();
    return hand_to_spool(self);
  }
  log_error(
    "stats", "gives up waiting for the store",
    {{"events", state.under_way->cut.batch->events},
     {"waited_ms", (now_of(self) - state.under_way->since) / std::chrono::milliseconds{1}}});
  give_up_batch(self, error_code::store_unavailable);
}

/// The store was restarted. The old one answers no more, so its batch is ours again; whether it was
/// committed does not matter: the identities of its events are known then.
void use_store(self_ptr self, store_actor store) {
  auto& state = self->state;
  state.store = std::move(store);
  if (!state.under_way)
    return maybe_commit(self);
  if (state.under_way->at_spool)
    return;
  if (state.under_way->abandoned)
    return settle_batch(self, {.number = state.under_way->cut.batch->number,
                               .error = error_code::store_unavailable,
                               .detail = "the store died"});
  state.under_way->maybe_committed |= state.under_way->cut.batch->committing();
  state.under_way->cut.batch->reopen();
  state.under_way->cut.batch->again = state.under_way->maybe_committed;
  hand_to_store(self);
}

// -- stopping -----------------------------------------------------------------------------------

void refuse_the_waiting(self_ptr self) {
  auto& state = self->state;
  if (std::exchange(state.hurried, true))
    return;
  answers out;
  for (auto& [request, waiting] : state.queue.take_awaited()) {
    state.book.refuse(event_count(request));
    out.add(waiting, request.to, refusal(state, error_code::stopping));
  }
  give_up_batch(self, error_code::stopping);
}

void close_doors(self_ptr self, const stop_order& order) {
  auto& state = self->state;
  fault_point("stats.stop");
  if (!state.stop_at) {
    state.stop_at = now_of(self);
    state.settled_before_stop = state.book.counts().stored + state.book.counts().duplicates;
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

// -- telling ------------------------------------------------------------------------------------

actor_status tell_status(self_ptr self) {
  const auto& state = self->state;
  const auto backlog = state.queue.events();
  std::string what = backlog == 0 ? "idle" : std::to_string(backlog) + " events queued";
  if (state.under_way)
    what += ", " + std::to_string(state.under_way->cut.batch->events) + " of them at the store for "
            + show_duration(now_of(self) - state.under_way->since);
  if (state.away)
    what += ", the database is away: events go to the spool";
  else if (state.store_refuses)
    what += ", the store refuses: " + state.refusal;
  return status_of(
    self, {.doing = what,
           .progress = state.book.counts().stored + state.book.counts().duplicates,
           .gauges = {{"queue_events", backlog},
                      {"queue_bytes", state.queue.bytes()},
                      {"drain_per_second", static_cast<uint64_t>(state.rate.per_second())}},
           .backlog_s = state.rate.seconds_for(backlog),
           .ledger = state.book.counts()});
}

void answer_health(self_ptr self, asked_query& question) {
  const auto& state = self->state;
  auto status = tell_status(self);
  question.reply.answer({.body = health_json(status, state.store_refuses || state.away)});
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
          .answer_after = settings.resolved.how};
}

stats_actor::behavior_type stats_behavior(self_ptr self, child_identity who, store_actor store,
                                          spool_actor spool, stats_settings with) {
  set_up_child(self, std::move(who));
  auto& state = self->state;
  state.store = std::move(store);
  state.with = with;
  state.spool = std::move(spool);
  std::random_device random;
  state.queue = batch_queue{with.queue, uint64_t{random()} << 32 | random()};
  return handlers(
    self, [self](atom::stop, const stop_order& order) { close_doors(self, order); },
    [self](atom::release, const release_order& order) { finish(self, order); },
    [self](atom::ping) {
      fault_point("stats.ping");
      return pong_of(self->state.who);
    },
    [self](atom::status) { return tell_status(self); },
    [self](atom::adopt, const config_ptr& settings) {
      auto& state = self->state;
      state.with = stats_settings_of(*settings);
      state.queue.set_limits(state.with.queue);
      maybe_commit(self);
      return pong_of(state.who);
    },
    [self](atom::committed, const commit_result& result) { settle_batch(self, result); },
    [self](atom::spooled, const spool_result& result) { settle_spooled(self, result); },
    [self](atom::replayed, const replay_result& result) { take_replayed(self, result); },
    [self](atom::ingest, const ingest_turn_ptr& turn) { take_turn(self, *turn); },
    [self](atom::use, const store_actor& now) { use_store(self, now); },
    [self](atom::use, const spool_actor& now) { use_spool(self, now); },
    [self](atom::ask, const asked_query_ptr& question) { answer_health(self, *question); },
    [self](atom::flush, uint64_t timer) {
      if (timer != self->state.flush_timer)
        return;
      self->state.flush_armed = false;
      maybe_commit(self);
    },
    [self](atom::overdue) { check_overdue(self); },
    [self](atom::drained) {
      self->state.doors_seen_shut = true;
      maybe_commit(self);
    });
}

} // namespace phi
