#include "tests/simulation/storage_parts.hpp"

#include "config/defaults.hpp"

#include <algorithm>
#include <utility>

namespace phi::simulation {

using namespace std::chrono_literals;

namespace {

// -- the database -------------------------------------------------------------------------------

/// Why a transaction ends without a commit, or in doubt.
struct failed {
  std::string why;
  bool reached = true;
  bool passing = false;
};

class store : public store_port, part_of_process {
public:
  store(machine& on, process_id owner, database& in, const storage_ports& told)
    : part_of_process(on, owner),
      in_(in),
      open_(told.store_open),
      closed_well_(told.store_closed_well) {}

  void watched_by(work_watch_ptr watch) override { watch_ = std::move(watch); }

  outcome open() override {
    check_alive();
    wait(time(100us, 20ms), watch_.get());
    for (int tries = 0; in_.trouble.away > 0 && !in_.shared; ++tries)
      if (tries == 10 || !wait(500ms, watch_.get()))
        return outcome::failure("the database is locked");
    *open_ = true;
    return {};
  }

  commit_result commit(commit_batch& batch) override {
    check_alive();
    commit_result result{.number = batch.number};
    auto began = on_.now();
    try {
      try_to_commit(batch, result);
    } catch (const failed& failure) {
      result.error =
        batch.committing() ? error_code::outcome_unknown : error_code::store_unavailable;
      result.detail = failure.why;
      result.reached = failure.reached;
      result.passing = failure.passing;
      result.requests.clear();
      result.refused.clear();
    }
    result.took = on_.now() - began;
    return result;
  }

  void apply_settings(const config&) override {}
  outcome close() override {
    check_alive();
    wait(time(0ms, 20ms), watch_.get());
    *open_ = false;
    *closed_well_ = true;
    return {};
  }
  std::string activity() const override { return "idle"; }

private:
  void try_to_commit(commit_batch& batch, commit_result& result) {
    reach();
    wait(time(50us, 5ms), watch_.get());
    if (in_.trouble.slow > 0) // behind locks; the embedded one has no time-out in its statements
      wait(time(100ms, in_.shared ? duration{4s} : duration{12s}), watch_.get());
    auto& trouble = in_.trouble;
    if (trouble.refuses > 0)
      throw failed{"canceling statement due to lock timeout", true, true};
    if (trouble.read_only > 0)
      throw failed{"cannot execute INSERT in a read-only transaction", true, true};
    if (trouble.full > 0)
      throw failed{"No space left on device", true, true};
    find_culprits(batch, result);
    if (std::exchange(trouble.lose_before_commit,
                      std::max<int64_t>(0, trouble.lose_before_commit - 1))
        > 0)
      throw failed{"server closed the connection", false};
    if (!batch.begin_commit())
      throw failed{"given up"};
    finish_commit(batch, result);
  }

  /// Whether it is there at all.
  void reach() {
    auto& trouble = in_.trouble;
    if (trouble.away > 0 && !in_.shared) { // somebody else has locked it
      for (int i = 0; i < 10 && trouble.away > 0; ++i)
        wait(500ms, watch_.get());
      if (trouble.away > 0)
        throw failed{"database is locked", true, true};
    }
    if (trouble.away > 0) {
      wait(time(0ms, 2s), watch_.get());
      throw failed{"could not connect to server", false};
    }
  }

  /// What the database has against single events.
  void find_culprits(const commit_batch& batch, commit_result& result) {
    const auto& trouble = in_.trouble;
    for (uint32_t r = 0; r < batch.requests.size(); ++r)
      for (uint32_t e = 0; e < batch.requests[r].events.size(); ++e) {
        const auto& identity = batch.requests[r].events[e].identity;
        bool cursed = trouble.cursed.contains(identity);
        if (cursed && !batch.suspect)
          throw failed{"it ends each time", trouble.curse_reached, trouble.curse_passing};
        if (cursed || trouble.refused.contains(identity))
          result.refused.push_back({.request = r, .at = e, .detail = "value out of range"});
      }
  }

  /// From BEGIN of COMMIT to its answer, which may be lost.
  void finish_commit(commit_batch& batch, commit_result& result) {
    auto& trouble = in_.trouble;
    try {
      wait(time(20us, 10ms), watch_.get());
      // The time-out of a statement; a disk that hangs has none.
      for (int i = 0; (i < 11 || !in_.shared) && trouble.silent > 0; ++i)
        wait(500ms, watch_.get());
    } catch (const process_killed&) { // the server may have got it
      if (!batch.abandoned() && on_.random().one_in(2))
        apply(batch, result);
      throw;
    }
    bool silent = trouble.silent > 0;
    bool doubt = silent || trouble.unknown > 0;
    trouble.unknown -= trouble.unknown > 0 && !silent;
    if (doubt) {
      if (on_.random().one_in(2))
        apply(batch, result);
      throw failed{"nobody knows whether it was committed", false};
    }
    apply(batch, result);
    if (trouble.lose_after_commit > 0) {
      --trouble.lose_after_commit;
      throw failed{"the connection ended before the answer", false};
    }
    wait(time(0us, 2ms), watch_.get());
  }

  /// The whole transaction, at one moment.
  void apply(const commit_batch& batch, commit_result& result) {
    result.requests.clear();
    for (const auto& part : batch.parts) {
      auto first = result.requests.size();
      auto earlier = in_.batches.find(part.id);
      if (batch.again && earlier != in_.batches.end()) {
        auto left = earlier->second;
        for (size_t i = first; i < first + part.requests; ++i)
          result.requests.push_back(
            take(left, batch.requests[i].events.size(), refused_of(result, i)));
        continue;
      }
      commit_result::counts all;
      for (size_t i = first; i < first + part.requests; ++i) {
        result.requests.push_back(apply(batch.requests[i], static_cast<uint32_t>(i), result));
        all.stored += result.requests.back().stored;
        all.duplicates += result.requests.back().duplicates;
        all.refused += result.requests.back().refused;
      }
      in_.batches[part.id] = all;
    }
    ++in_.commits;
    on_.remember(in_.rows.size());
  }

  /// What an earlier commit has said, for one of its requests.
  static commit_result::counts take(commit_result::counts& from, size_t events, uint32_t refused) {
    auto left = static_cast<uint32_t>(events) - refused;
    commit_result::counts out{.stored = std::min(from.stored, left), .refused = refused};
    out.duplicates = left - out.stored;
    from.stored -= out.stored;
    return out;
  }

  static uint32_t refused_of(const commit_result& result, size_t request) {
    return static_cast<uint32_t>(
      std::count_if(result.refused.begin(), result.refused.end(),
                    [&](const refused_event& one) { return one.request == request; }));
  }

  commit_result::counts apply(const ingest_request& request, uint32_t at,
                              const commit_result& result) {
    commit_result::counts counts;
    for (uint32_t e = 0; e < request.events.size(); ++e) {
      auto is_it = [&](const refused_event& one) { return one.request == at && one.at == e; };
      if (std::any_of(result.refused.begin(), result.refused.end(), is_it)) {
        ++counts.refused;
        continue;
      }
      bool is_new = in_.rows.try_emplace(request.events[e].identity, 1).second;
      ++(is_new ? counts.stored : counts.duplicates);
    }
    return counts;
  }

  database& in_;
  std::shared_ptr<bool> open_;
  std::shared_ptr<bool> closed_well_;
  work_watch_ptr watch_;
};

class reader : public reader_port, part_of_process {
public:
  using part_of_process::part_of_process;

  outcome open() override { return {}; }
  query_answer answer(const reader_query&, work_watch& watch) override {
    return answer_after(time(1ms, 12s), watch);
  }
  query_answer answer(const inspection_task&, work_watch& watch) override {
    return answer_after(time(100ms, 60s), watch);
  }
  void apply_settings(const config&) override {}
  void close() override {}

private:
  query_answer answer_after(duration it_takes, work_watch& watch) {
    check_alive();
    if (!wait(it_takes, &watch))
      return {error_code::query_timeout, "it was ended", {}};
    return {.body = "{}"};
  }
};

class maintenance : public maintenance_port, part_of_process {
public:
  maintenance(machine& on, process_id owner, database& in) : part_of_process(on, owner), in_(in) {}

  void watched_by(work_watch_ptr watch) override { watch_ = std::move(watch); }
  done step() override {
    check_alive();
    if (in_.trouble.away > 0)
      return {.ended = outcome::failure("could not connect to server")};
    if (!wait(time(1ms, 3s), watch_.get()))
      return {.ended = outcome::failure("ended by the stop")};
    if (!std::exchange(in_.corrupted, false))
      return {};
    return {.did = "made the counts again"};
  }
  phi::maintenance_port::counted count() override {
    check_alive();
    if (in_.trouble.away > 0)
      return {.ended = outcome::failure("could not connect to server")};
    in_.counted = in_.rows.size();
    return {};
  }
  void apply_settings(const config&) override {}
  void close() override {}

private:
  database& in_;
  work_watch_ptr watch_;
};

class cluster : public cluster_port, part_of_process {
public:
  cluster(machine& on, process_id owner, database& in) : part_of_process(on, owner), in_(in) {}

  void watched_by(work_watch_ptr watch) override { watch_ = std::move(watch); }
  result<heard> beat(const report&) override {
    check_alive();
    if (in_.trouble.away > 0)
      return outcome::failure("could not connect to server");
    wait(time(100us, 50ms), watch_.get());
    if (in_.leader == owner_ || on_.now() >= in_.leads_until) {
      in_.leader = owner_;
      in_.leads_until = on_.now() + defaults::duty_lease;
    }
    return heard{.leads = in_.leader == owner_};
  }
  query_answer answer(const cluster_task&) override { return {}; }
  void apply_settings(const config&) override {}
  void leave() override {
    check_alive();
    if (in_.leader == owner_)
      in_.leads_until = {};
  }

private:
  database& in_;
  work_watch_ptr watch_;
};

} // namespace

storage_ports make_storage_ports(machine& on, process_id owner, database& stored,
                                 spool_disk& disk) {
  storage_ports out;
  out.store = std::make_shared<store>(on, owner, stored, out);
  out.reader = std::make_shared<reader>(on, owner);
  out.inspector = std::make_shared<reader>(on, owner);
  if (stored.shared) {
    out.spool = make_spool(on, owner, disk, out);
    out.maintenance = std::make_shared<maintenance>(on, owner, stored);
    out.cluster = std::make_shared<cluster>(on, owner, stored);
  }
  return out;
}

} // namespace phi::simulation
