#include "tests/simulation/run.hpp"

#include "actors/log.hpp"
#include "protocol/text/duration.hpp"
#include "server/observe/trace.hpp"
#include "tests/simulation/clients.hpp"
#include "tests/simulation/process.hpp"

#include <algorithm>

namespace phi::simulation {

using namespace std::chrono_literals;

namespace {

/// How long everything may take to drain when the last fault is over: the longest wait between two
/// tries of what was set aside, several times.
constexpr auto calm = 600s;

/// Events with which the database fails. Where there are many the others are found late.
constexpr int64_t most_cursed = 4;

std::string text_of(const log_fields& fields) {
  std::string out;
  for (const auto& [key, value] : fields) {
    out += " " + std::string{key} + "=";
    if (const auto* text = std::get_if<std::string>(&value))
      out += *text;
    else if (const auto* number = std::get_if<int64_t>(&value))
      out += std::to_string(*number);
    else
      out += std::to_string(std::get<double>(value));
  }
  return out;
}

class simulated_run : log_sink {
public:
  simulated_run(const plan& chosen, const run_options& options)
    : plan_(chosen),
      options_(options),
      on_(chosen.seed, chosen.lateness),
      checkers_(all_checkers()) {
    on_.set_most_steps(options.most_steps);
    stored_.shared = plan_.postgres;
    for (size_t i = 0; i < plan_.instances; ++i)
      disks_.push_back(std::make_unique<spool_disk>());
    current_.resize(plan_.instances);
    on_.on_gone = [this](process_id id, const std::string& actor, bool well) {
      if (auto* one = find(id))
        one->actor_gone(actor, well);
    };
    on_.on_fault_point = [this](std::string_view where) { pass(where); };
    if (options.tells)
      set_log_sink(this);
    if (!options.trace_file.empty())
      tracer().on({.file = options.trace_file}, {}).ignore("a run without its trace is a run");
  }
  ~simulated_run() {
    set_log_sink(nullptr);
    tracer().off();
    on_.end_all(); // what the actors stand on is still there
  }

  run_result go();

private:
  /// A fault that waits for its place to be passed.
  struct armed {
    happening what;
    bool used = false;
  };

  // A tracer must live until the process ends.
  static trace_recorder& tracer() {
    static trace_recorder recorder;
    return recorder;
  }

  bool wants(log_level level) const noexcept override { return level >= log_level::info; }
  void write(log_level, std::string_view actor, std::string_view text,
             const log_fields& fields) noexcept override {
    tell("process " + std::to_string(on_.here()) + ": " + std::string{actor} + " "
         + std::string{text} + text_of(fields));
  }
  void tell(const std::string& text) {
    if (options_.tells)
      result_.lines.push_back(show_duration(on_.now() - time_point{1000s}) + "  " + text);
  }

  process* find(process_id id) {
    for (auto& one : current_)
      if (one && one->id() == id)
        return one.get();
    return nullptr;
  }
  process* at(size_t instance) { return current_.at(instance).get(); }

  void start(size_t instance);
  void ended(process& one);
  void pass(std::string_view where);
  void arm(const happening& what);
  void happen(const happening& what);
  bool happen_to_database(const happening& what);
  bool happen_to_spool(const happening& what);
  void happen_to_process(const happening& what, process& one);
  void press(const happening& what, process& one);
  void reload(const happening& what, process& one);
  void for_a_while(int& reasons, duration time);
  void make_clients();
  void inspect_each_second();
  void calm_down();
  bool drained();
  void wait_until_drained();
  void stop_all();
  bool all_ended() const;

  const plan& plan_;
  const run_options& options_;
  run_result result_;
  machine on_;
  database stored_;
  std::vector<std::unique_ptr<spool_disk>> disks_;
  std::map<ticket, seen_request> requests_;
  std::map<process_id, seen_process> processes_;
  checker_list checkers_;
  seen_world world_{on_, stored_, disks_, requests_, processes_};
  ticket last_ticket_ = 0;
  process_id last_process_ = 0;
  std::vector<std::shared_ptr<process>> current_;
  std::vector<std::unique_ptr<client>> clients_;
  std::vector<armed> armed_;
  int64_t refuse_next_ = 0;
  int64_t curse_next_ = 0;
  bool calm_ = false;
  bool stopping_ = false;
};

// -- processes ----------------------------------------------------------------------------------

void simulated_run::start(size_t instance) {
  auto id = ++last_process_;
  tell("process " + std::to_string(id) + " of instance " + std::to_string(instance) + " starts");
  auto one =
    std::make_shared<process>(process::setup{.seen = {world_, checkers_, last_ticket_},
                                             .id = id,
                                             .instance = instance,
                                             .settings = plan_.settings,
                                             .manager_limit = plan_.manager_limit,
                                             .on_end = [this](process& gone) { ended(gone); }});
  current_[instance] = one;
  one->start();
}

void simulated_run::ended(process& one) {
  const auto& seen = processes_.at(one.id());
  result_.codes.insert(seen.code);
  tell("process " + std::to_string(one.id()) + " has ended: " + std::string{to_string(seen.code)}
       + ", " + std::to_string(static_cast<int>(seen.ended)));
  auto instance = one.instance();
  if (current_[instance].get() == &one)
    current_[instance] = nullptr;
  if (!stopping_)
    on_.after(on_.random().time(100ms, 3s), [this, instance] {
      if (!stopping_ && !at(instance))
        start(instance);
    });
}

void simulated_run::pass(std::string_view where) {
  auto* one = find(on_.here());
  if (calm_ || !one || on_.has_ended(one->id()))
    return;
  for (auto& fault : armed_) {
    auto& what = fault.what;
    if (fault.used || what.where != where || what.instance != one->instance() || --what.number > 0)
      continue;
    fault.used = true;
    tell(show(what) + ": now");
    result_.happened.insert(what.kind);
    if (what.kind == happening_kind::actor_blocks)
      return on_.block(what.lasts);
    if (what.kind == happening_kind::actor_throws)
      throw std::runtime_error("injected fault");
    one->end(ending::crashed, exit_code::clean);
    throw process_killed{};
  }
}

// -- what happens -------------------------------------------------------------------------------

void simulated_run::for_a_while(int& reasons, duration time) {
  ++reasons;
  on_.after(time, [this, &reasons] {
    if (!calm_)
      --reasons;
  });
}

bool simulated_run::happen_to_database(const happening& what) {
  auto& trouble = stored_.trouble;
  switch (what.kind) {
    case happening_kind::database_away: for_a_while(trouble.away, what.lasts); return true;
    case happening_kind::database_slow: for_a_while(trouble.slow, what.lasts); return true;
    case happening_kind::database_silent: for_a_while(trouble.silent, what.lasts); return true;
    case happening_kind::database_refuses: for_a_while(trouble.refuses, what.lasts); return true;
    case happening_kind::database_read_only:
      for_a_while(trouble.read_only, what.lasts);
      return true;
    case happening_kind::database_full: for_a_while(trouble.full, what.lasts); return true;
    case happening_kind::event_refused: refuse_next_ += what.number; return true;
    case happening_kind::event_cursed:
      curse_next_ = std::min<int64_t>(curse_next_ + what.number, most_cursed);
      trouble.curse_reached = what.number % 2 == 0;
      trouble.curse_passing = what.number > 2;
      return true;
    case happening_kind::lost_before_commit: trouble.lose_before_commit += what.number; return true;
    case happening_kind::lost_after_commit: trouble.lose_after_commit += what.number; return true;
    case happening_kind::commit_unknown: trouble.unknown += what.number; return true;
    case happening_kind::counts_corrupted: stored_.corrupted = true; return true;
    default: return false;
  }
}

bool simulated_run::happen_to_spool(const happening& what) {
  auto& trouble = disks_.at(what.instance)->trouble;
  switch (what.kind) {
    case happening_kind::spool_full: for_a_while(trouble.full, what.lasts); return true;
    case happening_kind::spool_fails: for_a_while(trouble.fails, what.lasts); return true;
    case happening_kind::spool_slow: for_a_while(trouble.slow, what.lasts); return true;
    case happening_kind::spool_unknown: trouble.unknown += what.number; return true;
    case happening_kind::spool_keeps_taken: trouble.keeps_taken += what.number; return true;
    default: return false;
  }
}

void simulated_run::press(const happening& what, process& one) {
  static const std::vector<signal_kind> kinds{signal_kind::terminate, signal_kind::interrupt,
                                              signal_kind::terminate, signal_kind::quit};
  auto kind = kinds[static_cast<size_t>(what.number) % kinds.size()];
  one.signal(kind);
  if (what.kind != happening_kind::stop_pressed_again)
    return;
  for (int64_t i = 1; i <= what.number; ++i)
    on_.after(what.lasts / 20 * i, [this, kind, id = one.id()] {
      if (auto* there = find(id))
        there->signal(kind);
    });
}

void simulated_run::reload(const happening& what, process& one) {
  std::optional<config> next;
  if (what.kind == happening_kind::reload) {
    next = *one.settings();
    next->shutdown.timeout_secs = 4 + 3 * what.number;
    next->shutdown.watchdog.enabled = !next->shutdown.watchdog.enabled;
    next->stats.batch_size = 1 + what.number * 5;
  }
  one.next_settings(std::move(next));
  one.signal(signal_kind::reload);
}

void simulated_run::happen_to_process(const happening& what, process& one) {
  switch (what.kind) {
    case happening_kind::actor_killed: on_.kill(one.id(), what.where); return;
    case happening_kind::actor_frozen: on_.hold(one.id(), what.where, what.lasts); return;
    case happening_kind::process_stands_still: return one.stand_still(what.lasts);
    case happening_kind::process_killed: return one.end(ending::crashed, exit_code::clean);
    case happening_kind::stop:
    case happening_kind::stop_pressed_again: return press(what, one);
    case happening_kind::reload:
    case happening_kind::reload_broken: return reload(what, one);
    case happening_kind::lame_duck: return one.signal(signal_kind::lame_duck);
    case happening_kind::dump: return one.signal(signal_kind::dump);
    default: return;
  }
}

void simulated_run::arm(const happening& what) {
  armed_.push_back({what});
}

void simulated_run::happen(const happening& what) {
  if (calm_)
    return;
  tell(show(what));
  if (what.kind == happening_kind::actor_throws || what.kind == happening_kind::actor_blocks
      || what.kind == happening_kind::killed_at_point)
    return arm(what);
  result_.happened.insert(what.kind);
  if (happen_to_database(what) || happen_to_spool(what))
    return;
  if (auto* one = at(what.instance); one && !one->ended())
    happen_to_process(what, *one);
}

// -- the run ------------------------------------------------------------------------------------

void simulated_run::make_clients() {
  client::surroundings around{on_,
                              [this](size_t instance) {
                                auto* one = at(instance);
                                return one && !one->ended() ? &one->front() : nullptr;
                              },
                              plan_.instances,
                              [this](const event& e) {
                                if (refuse_next_ > 0 && --refuse_next_ >= 0)
                                  stored_.trouble.refused.insert(e.identity);
                                else if (curse_next_ > 0 && --curse_next_ >= 0
                                         && stored_.trouble.cursed.size() < most_cursed)
                                  stored_.trouble.cursed.insert(e.identity);
                              }};
  for (const auto& one : plan_.clients) {
    clients_.push_back(
      std::make_unique<client>(around, one, static_cast<uint32_t>(clients_.size() + 1)));
    clients_.back()->start();
    result_.clients.insert(one.kind);
  }
}

void simulated_run::inspect_each_second() {
  for (auto& one : current_)
    if (one)
      one->inspect();
  if (options_.sabotage)
    options_.sabotage(world_);
  on_.after(1s, [this] { inspect_each_second(); });
}

void simulated_run::calm_down() {
  calm_ = true;
  tell("all faults are over");
  auto& trouble = stored_.trouble; // what is wrong with an event stays so
  trouble = {.refused = std::move(trouble.refused),
             .cursed = std::move(trouble.cursed),
             .curse_reached = trouble.curse_reached,
             .curse_passing = trouble.curse_passing};
  refuse_next_ = curse_next_ = 0;
  for (auto& disk : disks_)
    disk->trouble = {.was_in_doubt = disk->trouble.was_in_doubt};
  on_.let_all_go();
  for (auto& one : clients_)
    one->finish();
}

bool simulated_run::drained() {
  for (const auto& one : clients_)
    if (!one->done())
      return false;
  for (const auto& one : current_)
    if (!one || !one->serves() || one->queued() > 0)
      return false;
  for (const auto& disk : disks_)
    if (disk->waiting(stored_.trouble.cursed) > 0)
      return false;
  return !stored_.shared || (!stored_.corrupted && stored_.counted == stored_.rows.size());
}

/// And it stays so: who was held up may have something to do still.
void simulated_run::wait_until_drained() {
  auto end = on_.now() + calm;
  do {
    on_.run_until([this] { return drained(); }, end - on_.now());
    on_.run_until([] { return false; }, 5s);
  } while (!drained() && on_.now() < end && on_.steps() < options_.most_steps);
}

bool simulated_run::all_ended() const {
  return std::all_of(current_.begin(), current_.end(), [](const auto& one) { return !one; });
}

void simulated_run::stop_all() {
  tell("everybody is told to stop");
  stopping_ = true;
  for (auto& one : current_)
    if (one && !one->ended()) {
      one->will_be_last();
      one->signal(signal_kind::terminate);
    }
}

run_result simulated_run::go() {
  for (size_t i = 0; i < plan_.instances; ++i)
    start(i);
  make_clients();
  for (const auto& what : plan_.happenings)
    on_.after(what.at, [this, &what] { happen(what); });
  inspect_each_second();
  auto never = [] { return false; };
  on_.run_until(never, plan_.lasts);
  calm_down();
  wait_until_drained();
  world_.clients_waiting = static_cast<size_t>(
    std::count_if(clients_.begin(), clients_.end(), [](const auto& one) { return !one->done(); }));
  stop_all();
  on_.run_until([this] { return all_ended(); }, 60s);
  for (auto& checker : checkers_) {
    checker->run_ended(world_);
    for (auto& one : checker->found)
      result_.found.push_back(std::move(one));
  }
  result_.hash = on_.hash();
  result_.steps = on_.steps();
  result_.lasted = on_.now() - time_point{1000s};
  return std::move(result_);
}

} // namespace

run_result run(const plan& chosen, const run_options& options) {
  simulated_run one{chosen, options};
  return one.go();
}

std::set<size_t> fewest_happenings(const plan& chosen, const run_result& failed,
                                   const run_options& options) {
  std::set<size_t> left;
  for (size_t i = 0; i < chosen.happenings.size(); ++i)
    left.insert(i);
  auto fails = [&](const std::set<size_t>& places) {
    auto found = run(only(chosen, places), options).found;
    return std::any_of(found.begin(), found.end(), [&](const violation& one) {
      return one.checker == failed.found.front().checker;
    });
  };
  for (auto at_once = std::max<size_t>(1, left.size() / 2); at_once > 0; at_once /= 2)
    for (size_t first = 0; first < chosen.happenings.size(); first += at_once) {
      auto fewer = left;
      for (size_t i = first; i < first + at_once; ++i)
        fewer.erase(i);
      if (fewer.size() < left.size() && fails(fewer))
        left = fewer;
    }
  return left;
}

} // namespace phi::simulation
