#include "tests/simulation/listener.hpp"

#include "protocol/actors.hpp"

#include <utility>

namespace phi::simulation {

using namespace std::chrono_literals;

/// Where the actors' answers come in.
class listener::replies : public reply_sink {
public:
  explicit replies(std::weak_ptr<listener> to) : to_(std::move(to)) {}
  void deliver(std::vector<ingest_answer> answers) noexcept override {
    if (auto to = to_.lock())
      for (const auto& [number, outcome] : answers)
        to->answer(number, outcome, false);
  }
  void deliver(ticket number, query_answer answer) noexcept override {
    if (auto to = to_.lock())
      to->answer(number, {.error = answer.error}, false);
  }

private:
  std::weak_ptr<listener> to_;
};

listener::listener(seen_by seen, process_id owner, std::shared_ptr<current_actors> actors,
                   config_ptr settings)
  : seen_(seen),
    owner_(owner),
    actors_(std::move(actors)),
    settings_(std::move(settings)) {}

// -- for clients --------------------------------------------------------------------------------

uint64_t listener::connect(client_end& client) {
  if (!open_ || seen_.world.on.has_ended(owner_))
    return 0;
  auto number = uint64_t{owner_} << 32 | ++last_connection_; // of the whole run
  connections_[number] = {.client = &client, .since = seen_.world.on.now()};
  return number;
}

seen_request& listener::note(uint64_t at, bool question) {
  auto number = ++seen_.last_ticket;
  auto& connection = connections_.at(at);
  connection.waits_for = number;
  connection.question = question;
  connection.since = seen_.world.on.now();
  waiting_[number] = at;
  auto& out = seen_.world.requests[number];
  out.number = number;
  out.process = owner_;
  out.question = question;
  out.sent = seen_.world.on.now();
  give_up_later(number);
  return out;
}

void listener::send(uint64_t at, std::vector<event> events, uint32_t rejected) {
  if (!connections_.contains(at))
    return;
  auto& request = note(at, false);
  for (const auto& e : events)
    request.identities.push_back(e.identity);
  request.rejected = rejected;
  seen_.world.processes.at(owner_).submitted += events.size() + rejected;
  auto turn = std::make_shared<ingest_turn>(replies_);
  turn->requests.push_back({.to = request.number, .rejected = rejected});
  turn->requests.back().hold(std::move(events));
  auto stats = actors_->get<stats_actor>();
  if (!stats)
    seen_.world.processes.at(owner_).submitted -= request.identities.size() + rejected;
  tell_from_outside(stats, atom::ingest_v, std::move(turn));
}

void listener::ask(uint64_t at) {
  if (!connections_.contains(at))
    return;
  auto& request = note(at, true);
  auto& gone = connections_.at(at).gone = std::make_shared<std::atomic<bool>>(false);
  auto asked_for = std::make_shared<asked<reader_query>>(
    reader_query{cluster_query{}}, query_reply{replies_, request.number}, gone);
  tell_from_outside(actors_->get<reader_actor>(), atom::ask_v, std::move(asked_for));
}

void listener::begin_request(uint64_t at) {
  if (auto found = connections_.find(at); found != connections_.end())
    found->second.half_sent = true;
}

void listener::hang_up(uint64_t at) {
  auto found = connections_.find(at);
  if (found == connections_.end())
    return;
  if (found->second.gone)
    found->second.gone->store(true);
  found->second.client = nullptr;
  if (found->second.waits_for == 0)
    end(at); // else it is there until its answer
}

void listener::vanish() {
  open_ = false;
  drained_ = {};
  for (auto& [at, connection] : std::exchange(connections_, {}))
    if (connection.client)
      connection.client->told(at, nullptr);
  waiting_.clear();
}

// -- answers ------------------------------------------------------------------------------------

void listener::answer(ticket to, const ingest_outcome& outcome, bool by_us) {
  if (seen_.world.on.has_ended(owner_))
    return;
  auto& request = seen_.world.requests.at(to);
  if (by_us) {
    request.timed_out = true;
  } else {
    ++request.answers;
    if (!request.said)
      request.said = outcome;
    seen_.world.on.remember(to << 8 | static_cast<uint64_t>(outcome.error));
    for (const auto& checker : seen_.checkers)
      checker->answered(seen_.world, request, outcome);
  }
  auto found = waiting_.find(to);
  if (found == waiting_.end())
    return; // it was given up
  auto at = found->second;
  waiting_.erase(found);
  ++answered_;
  refused_ += outcome.error == error_code::stopping;
  record_own();
  auto& connection = connections_.at(at);
  connection.waits_for = 0;
  connection.since = seen_.world.on.now();
  if (connection.client) // it hears it a moment later, if it is still there
    seen_.world.on.after(seen_.world.on.random().time(50us, 5ms),
                         [me = weak_from_this(), at, outcome] {
                           auto self = me.lock();
                           if (!self || !self->connections_.contains(at))
                             return;
                           if (auto* there = self->connections_.at(at).client)
                             there->told(at, &outcome);
                           if (self->stopping_)
                             self->end(at);
                         });
  else
    end(at);
}

/// As the service counts its own requests: nobody waits for these events.
void listener::record_own() {
  auto stats = actors_->get<stats_actor>();
  if (!settings_->stats.track_requests || !stats)
    return;
  event own{.route = "/events"};
  auto number = ++own_;
  own.identity[0] = 0xff; // of no client
  for (size_t i = 0; i < 4; ++i) {
    own.identity[i + 4] = static_cast<uint8_t>(owner_ >> (24 - 8 * i));
    own.identity[i + 8] = static_cast<uint8_t>(number >> (24 - 8 * i));
  }
  auto& seen = seen_.world.processes.at(owner_);
  ++seen.submitted;
  ++seen.own;
  auto turn = std::make_shared<ingest_turn>(replies_);
  turn->requests.push_back({.awaited = false});
  turn->requests.back().hold({std::move(own)});
  tell_from_outside(stats, atom::ingest_v, std::move(turn));
}

void listener::give_up_later(ticket to) {
  seen_.world.on.after(std::chrono::milliseconds{settings_->server.request_timeout_ms},
                       [me = weak_from_this(), to] {
                         if (auto self = me.lock(); self && self->waiting_.contains(to))
                           self->answer(to, {.error = error_code::outcome_unknown}, true);
                       });
}

void listener::end(uint64_t at) {
  auto found = connections_.find(at);
  if (found == connections_.end())
    return;
  auto* client = found->second.client;
  waiting_.erase(found->second.waits_for);
  connections_.erase(found);
  if (client)
    client->told(at, nullptr);
  report_if_drained();
}

void listener::end_idle(bool half_sent) {
  std::vector<uint64_t> idle;
  for (const auto& [at, connection] : connections_)
    if (connection.waits_for == 0 && connection.half_sent == half_sent)
      idle.push_back(at);
  for (auto at : idle)
    end(at);
}

void listener::report_if_drained() {
  if (!stopping_ || !connections_.empty())
    return;
  if (auto tell = std::exchange(drained_, {}))
    tell();
}

// -- for the actors -----------------------------------------------------------------------------

outcome listener::open(std::function<void()> drained) {
  if (seen_.world.on.has_ended(owner_))
    throw process_killed{};
  if (!replies_)
    replies_ = std::make_shared<replies>(weak_from_this());
  drained_ = std::move(drained);
  if (!stopping_)
    open_ = true;
  return {};
}

void listener::stop_accepting() {
  open_ = false;
  if (std::exchange(stopping_, true))
    return report_if_drained();
  auto me = weak_from_this();
  auto& on = seen_.world.on;
  on.after(std::chrono::milliseconds{settings_->server.keepalive_grace_ms}, [me] {
    if (auto self = me.lock())
      self->end_idle(false);
  });
  on.after(std::chrono::milliseconds{settings_->server.partial_grace_ms}, [me] {
    if (auto self = me.lock())
      self->end_idle(true);
  });
  report_if_drained();
}

void listener::escalate() {
  std::vector<ticket> questions;
  for (const auto& [at, connection] : connections_)
    if (connection.waits_for != 0 && connection.question)
      questions.push_back(connection.waits_for);
  for (auto to : questions)
    answer(to, {.error = error_code::stopping}, true);
  end_idle(false);
  end_idle(true);
}

void listener::cut() {
  while (!connections_.empty())
    end(connections_.begin()->first);
}

http_counts listener::counts() const {
  return {.connections = connections_.size(),
          .in_flight = waiting_.size(),
          .requests = answered_,
          .refused = refused_};
}

std::vector<waited> listener::waits() const {
  std::vector<waited> out;
  for (const auto& [to, at] : waiting_) {
    const auto& connection = connections_.at(at);
    out.push_back({connection.question ? actor_name::reader : actor_name::stats,
                   seen_.world.on.now() - connection.since});
    break;
  }
  return out;
}

} // namespace phi::simulation
