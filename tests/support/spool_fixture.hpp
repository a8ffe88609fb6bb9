#pragma once
/// SPOOL on virtual time, on a disk in memory, before a store that does what the test says.

#include "actors/spool.hpp"
#include "tests/support/stats_fixture.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace phi::testing {

/// A spool in memory.
class fake_disk : public spool_port {
public:
  outcome open() override { return opens; }
  uint64_t recovered() override { return std::exchange(found, 0); }
  spool_result append(const commit_batch& batch) override {
    if (!full.empty())
      return {batch.number, error_code::spool_full, full};
    steps_at_append = steps;
    auto copy = std::make_shared<commit_batch>();
    copy->number = ++number;
    copy->parts = {{{}, 1}};
    copy->events = batch.events;
    copy->requests = batch.requests;
    copy->parts.front().id[0] = static_cast<uint8_t>(number);
    batches.push_back(copy);
    return {batch.number};
  }
  commit_batch_ptr front(size_t most, size_t skip) override {
    taken.clear();
    size_t events = 0;
    for (auto i = skip; i < batches.size() && taken.size() < most; ++i) {
      events += batches[i]->events;
      if (!taken.empty() && events > defaults::replay_events)
        break;
      taken.push_back(batches[i]);
    }
    return joined();
  }
  commit_batch_ptr deferred() override {
    taken.clear();
    if (!kept.empty())
      taken.push_back(kept.front());
    return joined();
  }
  commit_batch_ptr joined() const {
    if (taken.empty())
      return nullptr;
    auto out = std::make_shared<commit_batch>();
    out->number = taken.front()->number;
    for (const auto& one : taken) {
      out->parts.push_back(one->parts.front());
      out->events += one->events;
      out->requests.push_back({.awaited = false});
      auto& events = out->requests.back().events;
      for (const auto& request : one->requests)
        events.insert(events.end(), request.events.begin(), request.events.end());
      events.resize(one->events); // what was put back has lost them
    }
    return out;
  }
  outcome remove_front(const std::vector<refused_event>& refused) override {
    if (!stuck)
      return stuck;
    aside_events += refused.size();
    for (const auto& one : refused)
      aside.push_back(one.detail);
    for (const auto& one : taken) {
      std::erase(batches, one);
      if (std::erase(kept, one) > 0)
        aside_events -= one->events;
    }
    return {};
  }
  outcome set_aside(uint64_t of, const std::string& why, bool try_again) override {
    if (!keeps_apart)
      return keeps_apart;
    for (const auto& one : batches)
      if (one->number == of) {
        aside_events += one->events;
        if (try_again)
          kept.push_back(one);
        else
          aside.push_back(why);
      }
    std::erase_if(batches, [&](const auto& one) { return one->number == of; });
    return {};
  }
  std::optional<query_answer> answer(const spool_task& task, spool_progress& so_far) override {
    if (std::holds_alternative<spool_check>(task)) {
      ++steps;
      ++so_far.batches;
      if (on_step)
        on_step(so_far.batches);
      if (so_far.batches < check_steps)
        return std::nullopt;
    }
    if (put_back > 0) {
      aside.clear();
      aside_events -= put_back;
      commit_batch again;
      again.events = std::exchange(put_back, 0);
      append(again);
    }
    return query_answer{};
  }
  spool_depth depth() const override {
    spool_depth out{.batches = batches.size(),
                    .set_aside = aside.size() + kept.size(),
                    .aside_events = aside_events,
                    .deferred = kept.size()};
    for (const auto& batch : batches)
      out.events += batch->events;
    return out;
  }
  outcome condition() const override { return {}; }
  void apply_settings(const config&) override {}
  outcome close() override { return {}; }

  std::deque<commit_batch_ptr> batches;
  std::deque<commit_batch_ptr> kept; ///< set aside for a while
  std::vector<std::string> aside;
  outcome opens;
  std::string full;    ///< not empty: why there is no room
  outcome stuck;       ///< of taking batches out
  outcome keeps_apart; ///< of setting batches aside
  uint64_t aside_events = 0;
  int64_t check_steps = 1;              ///< that a check takes
  std::function<void(int64_t)> on_step; ///< of a check
  int64_t steps = 0;                    ///< of all checks
  int64_t steps_at_append = 0;          ///< when a batch came last
  uint64_t put_back = 0;                ///< events, at the next question
  std::vector<commit_batch_ptr> taken;  ///< what was read last
  uint64_t number = 0;
  uint64_t found = 0;
};

struct spool_fixture {
  explicit spool_fixture(virtual_system& on) : on(on), stats(on) {
    store = on.keep(on.system.spawn(fake_store, at_store));
    auto who = child_identity{"spool", {}, std::make_shared<activity>()};
    spool = on.keep(on.system.spawn(spool_behavior, who, disk, store));
    tell_from_outside(spool, atom::attach_v, spool_listener_actor{stats.stats});
    on.run();
  }
  void append(size_t events = 1) {
    hand_over(events);
    // In the ledger they were received and spooled.
    tell_from_outside(stats.stats, atom::replayed_v, replay_result{.recovered = events});
    on.run();
  }
  void hand_over(size_t events) {
    auto batch = std::make_shared<commit_batch>();
    batch->events = events;
    batch->requests.push_back({.events = std::vector<event>(events)});
    tell_from_outside(spool, atom::append_v, batch, spool_listener_actor{stats.stats});
  }

  /// Its answer, whatever it is, goes to `said` under this name.
  void ask(spool_task what, const std::string& name, gone_flag gone = {}) {
    class named_sink : public reply_sink {
    public:
      named_sink(std::vector<std::string>& said, std::string name)
        : said_(said),
          name_(std::move(name)) {}
      void deliver(std::vector<ingest_answer>) noexcept override {}
      void deliver(ticket, query_answer) noexcept override { said_.push_back(name_); }

    private:
      std::vector<std::string>& said_;
      std::string name_;
    };
    query_reply to{std::make_shared<named_sink>(said, name), 0};
    tell_from_outside(spool, atom::ask_v,
                      std::make_shared<asked<spool_task>>(std::move(what), std::move(to), gone));
  }
  std::vector<std::string> said;

  bool reached = true;  ///< what fails from now on is the database's own word
  bool passing = false; ///< and of itself

  void answer(error_code error = error_code::none, bool never = false) {
    const auto& batch = *at_store->back();
    tell_from_outside(spool, atom::committed_v,
                      commit_result{.number = batch.number,
                                    .error = error,
                                    .reached = reached,
                                    .passing = passing,
                                    .never = never,
                                    .requests = {{static_cast<uint32_t>(batch.events), 0}}});
    on.run();
  }

  /// The database refuses these batches, by their numbers, and takes all others.
  void answer_for(duration time, const std::set<int>& refused) {
    for (auto end = on.now() + time; on.now() < end; on.advance(10ms)) {
      if (at_store->size() == answered)
        continue;
      answered = at_store->size();
      const auto& parts = at_store->back()->parts;
      bool bad = std::any_of(parts.begin(), parts.end(),
                             [&](const auto& part) { return refused.contains(part.id[0]); });
      if (bad)
        answer(error_code::store_unavailable);
      else
        answer();
    }
  }

  virtual_system& on;
  stats_fixture stats;
  size_t answered = 0;
  std::shared_ptr<fake_disk> disk = std::make_shared<fake_disk>();
  batches_ptr at_store = std::make_shared<std::vector<commit_batch_ptr>>();
  store_actor store;
  spool_actor spool;
};

} // namespace phi::testing
