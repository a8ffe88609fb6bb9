#include "config/defaults.hpp"
#include "tests/simulation/storage_parts.hpp"

#include <utility>

namespace phi::simulation {

using namespace std::chrono_literals;

namespace {

class spool : public spool_port, part_of_process {
public:
  spool(machine& on, process_id owner, spool_disk& disk, const storage_ports& told)
    : part_of_process(on, owner),
      disk_(disk),
      told_recovered_(told.recovered) {}

  void watched_by(work_watch_ptr watch) override { watch_ = std::move(watch); }

  outcome open() override {
    check_alive();
    wait(time(100us, 10ms), watch_.get());
    if (!std::exchange(opened_, true))
      for (const auto& one : disk_.batches)
        found_ += one.events.size();
    *told_recovered_ = std::max(*told_recovered_, found_);
    return {};
  }
  uint64_t recovered() override { return std::exchange(found_, 0); }

  spool_result append(const commit_batch& batch) override {
    check_alive();
    bool doubt = disk_.trouble.unknown > 0;
    disk_.trouble.unknown -= doubt;
    disk_.trouble.was_in_doubt |= doubt;
    try {
      wait(time(20us, 5ms), watch_.get());
      if (disk_.trouble.slow > 0)
        wait(time(10ms, 2s), watch_.get());
    } catch (const process_killed&) { // it may have reached the disk
      if (on_.random().one_in(2))
        put(batch);
      throw;
    }
    if (disk_.trouble.full > 0)
      return {batch.number, error_code::spool_full, "no room"};
    if (disk_.trouble.fails > 0)
      return {batch.number, error_code::spool_failed, "input/output error"};
    if (!doubt || on_.random().one_in(2))
      put(batch);
    wait(time(0us, 1ms), watch_.get());
    if (doubt)
      return {batch.number, error_code::outcome_unknown, "fsync failed"};
    return {batch.number};
  }

  commit_batch_ptr front(size_t most, size_t skip) override {
    check_alive();
    std::vector<const spool_disk::batch*> waiting;
    for (const auto& one : disk_.batches)
      if (one.aside.empty())
        waiting.push_back(&one);
    taken_.clear();
    size_t events = 0;
    for (auto i = skip; i < waiting.size() && taken_.size() < most; ++i) {
      events += waiting[i]->events.size();
      if (!taken_.empty() && events > defaults::replay_events)
        break;
      taken_.push_back(waiting[i]->number);
    }
    return joined();
  }

  commit_batch_ptr deferred() override {
    check_alive();
    taken_.clear();
    for (auto at = disk_.batches.begin(); at != disk_.batches.end(); ++at)
      if (at->deferred) { // to the back, so that each has its turn
        taken_.push_back(at->number);
        std::rotate(at, at + 1, disk_.batches.end());
        break;
      }
    auto out = joined();
    if (out)
      out->suspect = true;
    return out;
  }

  outcome remove_front(const std::vector<refused_event>& refused) override {
    check_alive();
    if (disk_.trouble.keeps_taken > 0) {
      --disk_.trouble.keeps_taken;
      return outcome::failure("input/output error");
    }
    spool_disk::batch kept{.aside = "refused"};
    for (const auto& one : refused)
      if (auto* batch = find(taken_.at(one.request)); batch && one.at < batch->events.size())
        kept.events.push_back(batch->events[one.at]);
    std::erase_if(disk_.batches, [&](const auto& one) { return is_taken(one.number); });
    if (!kept.events.empty()) {
      kept.number = ++disk_.last_number;
      disk_.batches.push_back(std::move(kept));
    }
    return {};
  }

  outcome set_aside(uint64_t number, const std::string& why, bool try_again) override {
    check_alive();
    if (auto* batch = find(number)) {
      batch->aside = why;
      batch->deferred = try_again;
    }
    return {};
  }

  std::optional<query_answer> answer(const spool_task&, spool_progress&) override {
    return query_answer{};
  }

  spool_depth depth() const override {
    spool_depth out;
    for (const auto& one : disk_.batches) {
      auto events = one.events.size();
      (one.aside.empty() ? out.batches : out.set_aside) += 1;
      (one.aside.empty() ? out.events : out.aside_events) += events;
      out.deferred += one.deferred;
    }
    return out;
  }

  outcome condition() const override { return {}; }
  void apply_settings(const config&) override {}
  outcome close() override {
    check_alive();
    return {};
  }

private:
  spool_disk::batch* find(uint64_t number) {
    auto at = std::find_if(disk_.batches.begin(), disk_.batches.end(),
                           [&](const auto& one) { return one.number == number; });
    return at == disk_.batches.end() ? nullptr : &*at;
  }

  bool is_taken(uint64_t number) const {
    return std::find(taken_.begin(), taken_.end(), number) != taken_.end();
  }

  void put(const commit_batch& batch) {
    for (const auto& part : batch.parts) {
      if (std::any_of(disk_.batches.begin(), disk_.batches.end(),
                      [&](const auto& one) { return one.id == part.id; }))
        continue;
      spool_disk::batch one{.number = ++disk_.last_number, .id = part.id};
      for (const auto& request : batch.requests)
        one.events.insert(one.events.end(), request.events.begin(), request.events.end());
      disk_.batches.push_back(std::move(one));
    }
    on_.remember(disk_.batches.size());
  }

  commit_batch_ptr joined() {
    if (taken_.empty())
      return nullptr;
    auto out = std::make_shared<commit_batch>();
    out->number = taken_.front();
    out->again = true;
    for (auto number : taken_) {
      const auto& one = *find(number);
      out->parts.push_back({one.id, 1});
      out->events += one.events.size();
      out->requests.push_back({.awaited = false, .events = one.events});
    }
    return out;
  }

  spool_disk& disk_;
  std::shared_ptr<uint64_t> told_recovered_;
  std::vector<uint64_t> taken_;
  bool opened_ = false;
  uint64_t found_ = 0;
  work_watch_ptr watch_;
};

} // namespace

bool spool_disk::holds(const digest& identity) const {
  return std::any_of(batches.begin(), batches.end(), [&](const batch& one) {
    return std::any_of(one.events.begin(), one.events.end(),
                       [&](const event& e) { return e.identity == identity; });
  });
}

uint64_t spool_disk::waiting(const std::set<digest>& cursed) const {
  uint64_t out = 0;
  for (const auto& one : batches) {
    bool excused = std::any_of(one.events.begin(), one.events.end(),
                               [&](const event& e) { return cursed.contains(e.identity); });
    if (!excused && (one.aside.empty() || one.deferred))
      out += one.events.size();
  }
  return out;
}

std::shared_ptr<spool_port> make_spool(machine& on, process_id owner, spool_disk& disk,
                                       const storage_ports& told) {
  return std::make_shared<spool>(on, owner, disk, told);
}

} // namespace phi::simulation
