#include "tests/simulation/machine.hpp"

#include "protocol/fault_point.hpp"

#include <ucontext.h>

#include <algorithm>
#include <random>

namespace {

/// The time that everybody sees, and the machine that is there.
std::chrono::steady_clock::time_point time_now{std::chrono::seconds{1000}};
phi::simulation::machine* present = nullptr;
uint64_t devices_chance = 0;

} // namespace

// What the standard library asks the system for is defined here for the whole program, in place of
// the library's own: no code under test has another clock or another chance than the machine's.
std::chrono::steady_clock::time_point std::chrono::_V2::steady_clock::now() noexcept {
  return time_now;
}

std::random_device::result_type std::random_device::_M_getval() {
  return static_cast<result_type>(devices_chance = devices_chance * 6364136223846793005U + 1);
}

// So are the fault points: what they do is the plan's choice, not the environment's.
namespace phi {

void fault_point(std::string_view where) {
  if (present && present->on_fault_point)
    present->on_fault_point(where);
}

int64_t limit_in_drills(const char*, int64_t limit) {
  return limit;
}

} // namespace phi

namespace phi::simulation {

using namespace std::chrono_literals;

/// A stack on which one handler runs, to its end or until it blocks.
struct machine::fiber {
  static constexpr size_t stack_bytes = 256 * 1024;

  ucontext_t context{};
  std::unique_ptr<char[]> stack{new char[stack_bytes]}; // not touched before it is used
  process_id owner = 0;
  time_point wake{};
  bool done = true;
};

namespace {

ucontext_t scheduler_context;

} // namespace

machine::machine(uint64_t seed, int lateness)
  : random_(seed ^ 0x5eedU),
    order_(seed),
    lateness_(lateness),
    system_(configure(config_)) {
  present = this;
  devices_chance = seed;
  scheduler().clock().current_time = time_now = time_point{1000s};
  newest_ = system_.latest_actor_id();
}

machine::~machine() {
  end_all();
  present = nullptr;
}

void machine::end_all() {
  on_gone = {};
  on_fault_point = {};
  events_.clear();
  for (const auto& [id, actor] : actors_)
    ended_.insert(actor.owner);
  for (auto process : ended_)
    reap(process);
  scheduler().clock().cancel_all();
  actors_.clear();
}

caf::actor_system_config& machine::configure(caf::actor_system_config& config) {
  config.set("scheduler.policy", caf::atom("testing"));
  return config;
}

caf::scheduler::test_coordinator& machine::scheduler() const {
  return static_cast<caf::scheduler::test_coordinator&>(
    const_cast<caf::actor_system&>(system_).scheduler());
}

time_point machine::now() const {
  return time_now;
}

void machine::remember(uint64_t value) {
  hash_ = (hash_ ^ value) * 1099511628211U;
}

// -- what happens -------------------------------------------------------------------------------

void machine::after(duration wait, std::function<void()> what) {
  events_.emplace(now() + wait, std::move(what));
}

void machine::inside(process_id process, const std::function<void()>& what) {
  spawning_for_ = process;
  what();
  meet_new_actors(process);
  spawning_for_ = 0;
}

process_id machine::here() const {
  return running_ ? running_->owner : spawning_for_;
}

void machine::block(duration time) {
  if (!running_ || std::uncaught_exceptions() > 0)
    return;
  auto* self = running_.get();
  if (has_ended(self->owner))
    throw process_killed{};
  meet_new_actors(self->owner);
  self->wake = now() + time;
  auto actor = detail::actor_here;
  swapcontext(&self->context, &scheduler_context);
  detail::actor_here = actor;
  if (has_ended(self->owner))
    throw process_killed{};
}

void machine::end(process_id process) {
  if (process != 0 && ended_.insert(process).second)
    after(duration::zero(), [this, process] { reap(process); });
}

machine::known_actor* machine::find(process_id process, std::string_view name) {
  for (auto& [id, actor] : actors_)
    if (actor.owner == process && !actor.gone && actor.name == name)
      return &actor;
  return nullptr;
}

bool machine::hold(process_id process, std::string_view name, duration time) {
  auto* actor = find(process, name);
  if (actor)
    actor->held_until = now() + time;
  return actor != nullptr;
}

void machine::hold_all(process_id process, duration time) {
  stopped_until_[process] = now() + time;
}

void machine::let_all_go() {
  stopped_until_.clear();
  for (auto& [id, actor] : actors_)
    actor.held_until = {};
  for (auto& one : blocked_)
    one->wake = std::min(one->wake, now());
}

bool machine::kill(process_id process, std::string_view name) {
  auto* actor = find(process, name);
  auto handle = actor ? caf::actor_cast<caf::actor>(actor->address) : caf::actor{};
  if (handle)
    kill_now(handle);
  return static_cast<bool>(handle);
}

bool machine::lives(process_id process, std::string_view name) const {
  return const_cast<machine*>(this)->find(process, name) != nullptr;
}

void machine::reap(process_id process) {
  auto is_ours = [&](const auto& one) { return one->owner == process; };
  for (;;) {
    auto at = std::find_if(blocked_.begin(), blocked_.end(), is_ours);
    if (at == blocked_.end())
      break;
    resume(static_cast<size_t>(at - blocked_.begin()));
  }
  for (auto& [id, actor] : actors_)
    if (actor.owner == process && !actor.gone)
      if (auto handle = caf::actor_cast<caf::actor>(actor.address))
        kill_now(handle);
  auto& jobs = scheduler().jobs;
  for (;;) {
    auto at = std::find_if(jobs.begin(), jobs.end(),
                           [&](caf::resumable* job) { return owner_of(job).owner == process; });
    if (at == jobs.end())
      break;
    run_job(static_cast<size_t>(at - jobs.begin()));
  }
}

// -- running ------------------------------------------------------------------------------------

machine::known_actor& machine::owner_of(caf::resumable* job) {
  auto* actor = dynamic_cast<caf::scheduled_actor*>(job);
  return actors_[actor ? actor->id() : 0];
}

duration machine::stopped_for(process_id process) const {
  auto found = stopped_until_.find(process);
  return found == stopped_until_.end() ? duration::zero()
                                       : std::max(duration::zero(), found->second - now());
}

bool machine::is_stopped(process_id process) const {
  return stopped_for(process) > duration::zero();
}

bool machine::is_held(const known_actor& actor) const {
  return actor.held_until > now() || is_stopped(actor.owner);
}

void machine::meet_new_actors(process_id owner) {
  auto latest = system_.latest_actor_id();
  if (latest == newest_)
    return;
  for (auto* job : scheduler().jobs) {
    auto* actor = dynamic_cast<caf::scheduled_actor*>(job);
    if (!actor || actor->id() <= newest_ || actors_.contains(actor->id()))
      continue;
    auto id = actor->id();
    actors_[id] = {.owner = owner, .address = actor->address()};
    actor->attach_functor([this, id](const caf::error& reason) {
      auto& ended = actors_[id];
      ended.gone = true;
      if (on_gone)
        on_gone(ended.owner, ended.name, !reason);
    });
  }
  newest_ = latest;
}

void machine::run_fiber() {
  for (;;) {
    auto* self = present->running_.get();
    present->scheduler().run_once();
    self->done = true;
    swapcontext(&self->context, &scheduler_context);
  }
}

void machine::switch_to(std::unique_ptr<fiber> next) {
  running_ = std::move(next);
  auto* self = running_.get();
  swapcontext(&scheduler_context, &self->context);
  meet_new_actors(self->owner);
  auto& to = self->done ? idle_ : blocked_;
  to.push_back(std::move(running_));
}

void machine::run_job(size_t at) {
  auto& jobs = scheduler().jobs;
  std::swap(jobs[0], jobs[at]);
  auto* actor = dynamic_cast<caf::scheduled_actor*>(jobs[0]);
  auto id = actor ? actor->id() : 0;
  auto owner = actors_[id].owner;
  remember(id);
  std::unique_ptr<fiber> next;
  if (idle_.empty()) {
    next = std::make_unique<fiber>();
    getcontext(&next->context);
    next->context.uc_stack.ss_sp = next->stack.get();
    next->context.uc_stack.ss_size = fiber::stack_bytes;
    makecontext(&next->context, &machine::run_fiber, 0);
  } else {
    next = std::move(idle_.back());
    idle_.pop_back();
  }
  next->owner = owner;
  next->done = false;
  switch_to(std::move(next));
  if (auto& known = actors_[id]; known.name.empty())
    known.name = name_of_actor(id);
}

void machine::resume(size_t at) {
  auto next = std::move(blocked_[at]);
  blocked_.erase(blocked_.begin() + static_cast<std::ptrdiff_t>(at));
  switch_to(std::move(next));
}

void machine::find_ready() {
  ready_.clear();
  const auto& jobs = scheduler().jobs;
  for (size_t i = 0; i < jobs.size(); ++i)
    if (!is_held(owner_of(jobs[i])))
      ready_.push_back({choice::kind::job, i});
  for (size_t i = 0; i < blocked_.size(); ++i)
    if (blocked_[i]->wake <= now() && !is_stopped(blocked_[i]->owner))
      ready_.push_back({choice::kind::blocked, i});
  if (!events_.empty() && events_.begin()->first <= now())
    ready_.push_back({choice::kind::event, 0});
}

bool machine::step() {
  find_ready();
  if (ready_.empty())
    return false;
  ++steps_;
  auto [what, at] = ready_[ready_.size() == 1 ? 0 : order_.below(ready_.size())];
  remember(static_cast<uint64_t>(now().time_since_epoch().count()));
  switch (what) {
    case choice::kind::job:
      if (lateness_ > 0 && order_.one_in(lateness_))
        owner_of(scheduler().jobs[at]).held_until = now() + order_.time(10us, 30ms);
      else
        run_job(at);
      break;
    case choice::kind::blocked: resume(at); break;
    case choice::kind::event: {
      auto event = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      event();
    }
  }
  return true;
}

/// To when something is due; false: nothing is before `limit`, which it is then.
bool machine::advance(time_point limit) {
  auto next = limit;
  auto consider = [&](time_point t) { next = std::min(next, std::max(t, now())); };
  const auto& timers = scheduler().clock().schedule();
  if (!timers.empty())
    consider(timers.begin()->first);
  if (!events_.empty())
    consider(events_.begin()->first);
  for (const auto& one : blocked_)
    consider(is_stopped(one->owner) ? stopped_until_[one->owner] : one->wake);
  for (auto* job : scheduler().jobs) {
    const auto& actor = owner_of(job);
    auto until = actor.held_until;
    if (is_stopped(actor.owner))
      until = std::max(until, stopped_until_[actor.owner]);
    consider(until);
  }
  auto by = next - now();
  time_now = next;
  scheduler().advance_time(by);
  return next < limit;
}

bool machine::run_until(const std::function<bool()>& done, duration limit) {
  auto end = now() + limit;
  while (!done()) {
    if (steps_ >= most_steps_)
      return false;
    if (!step() && !advance(end) && now() >= end)
      return done();
  }
  return true;
}

} // namespace phi::simulation
