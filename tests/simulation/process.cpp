#include "tests/simulation/process.hpp"

#include "actors/watchdog.hpp"
#include "tests/support/quiet_ports.hpp"

#include <utility>

namespace phi::simulation {

using namespace std::chrono_literals;

struct process::watch : phi::testing::fake_watch {
  explicit watch(std::weak_ptr<process> of_process) : owner(std::move(of_process)) {}
  void give_up(const std::string& actor) override {
    if (auto there = owner.lock())
      there->stuck(actor);
  }
  std::weak_ptr<process> owner;
};

/// Keeps those that come before somebody hears them.
struct process::signals : signal_port {
  void attach(std::function<void(const heard_signal&)> to) override {
    handler = std::move(to);
    if (handler)
      for (const auto& signal : std::exchange(early, {}))
        handler(signal);
  }
  void hear(const heard_signal& signal) { handler ? handler(signal) : early.push_back(signal); }

  signal_ladder ladder;
  std::function<void(const heard_signal&)> handler;
  std::vector<heard_signal> early;
};

process::process(setup given)
  : given_(std::move(given)),
    settings_(std::make_shared<const config>(given_.settings)) {
  auto& world = given_.seen.world;
  auto& known = world.processes[given_.id];
  known.id = given_.id;
  known.instance = given_.instance;
  known.began = world.on.now();
  known.settings = settings_;
  known.manager_limit = given_.manager_limit;
  listener_ = std::make_shared<listener>(given_.seen, given_.id, current_, settings_);
  signals_ = std::make_shared<signals>();
  storage_ = make_storage_ports(world.on, given_.id, world.stored, *world.disks[given_.instance]);
}

process::~process() {
  supervisor_ = nullptr;
  if (graph_)
    graph_->release_handles();
}

void process::start() {
  service_ports ports{.store = storage_.store,
                      .reader = storage_.reader,
                      .inspector = storage_.inspector,
                      .spool = storage_.spool,
                      .maintenance = storage_.maintenance,
                      .cluster = storage_.cluster,
                      .http = listener_,
                      .watch = std::make_shared<watch>(weak_from_this()),
                      .console = std::make_shared<phi::testing::fake_console>(),
                      .signals = signals_,
                      .admin = std::make_shared<phi::testing::fake_admin_socket>()};
  graph_.emplace(settings_, std::move(ports), current_, service_graph::threads::shared);
  on().inside(given_.id, [&] {
    auto settings = supervisor_settings_of(*settings_, watchdog_silence(*settings_));
    auto children = graph_->children(on().system());
    for (const auto& child : children)
      if (child.name == actor_name::stats)
        stats_seen_at_ = child.seen_at;
    supervisor_ =
      on().system().spawn(supervisor_behavior, std::move(children), settings,
                          service_port_ptr{shared_from_this()}, graph_->supervisor_activity());
  });
}

void process::signal(signal_kind kind) {
  if (is_over())
    return;
  heard_signal heard{.kind = kind};
  if (kind == signal_kind::terminate || kind == signal_kind::interrupt
      || kind == signal_kind::quit) {
    auto least = kind == signal_kind::quit ? stop_mode::fast : stop_mode::graceful;
    heard.wish = signals_->ladder.press(least, on().now());
    heard.press = signals_->ladder.presses();
    seen().wished = std::max(seen().wished, heard.wish.value_or(stop_mode::lame_duck));
  }
  if (heard.wish == stop_mode::immediate)
    return end(ending::by_user, exit_code::forced_by_user);
  signals_->hear(heard);
}

void process::end(ending how, exit_code code) {
  if (ended())
    return;
  auto& known = seen();
  known.code = code;
  known.ended_at = on().now();
  inspect();
  see_ports();
  known.ended = how;
  on().remember(static_cast<uint64_t>(code) << 8 | static_cast<uint64_t>(how));
  for (const auto& checker : given_.seen.checkers)
    checker->process_ended(given_.seen.world, known);
  on().end(given_.id);
  // The rest is the world's: not in the stack of an actor of it.
  on().after(duration::zero(), [me = shared_from_this()] {
    me->listener_->vanish();
    me->supervisor_ = nullptr;
    me->given_.on_end(*me);
  });
}

void process::see_ports() {
  auto& known = seen();
  known.listens = listener_->loops_alive().front().accepts;
  known.in_flight = listener_->counts().in_flight;
  known.store_open = *storage_.store_open;
  known.store_closed_well = *storage_.store_closed_well;
  known.recovered = *storage_.recovered;
}

void process::inspect() {
  if (is_over() || !stats_seen_at_)
    return;
  see_ports();
  if (auto counts = stats_seen_at_->ledgers.read())
    for (const auto& checker : given_.seen.checkers)
      checker->ledger_seen(given_.seen.world, seen(), *counts);
}

uint64_t process::queued() const {
  auto counts = stats_seen_at_ ? stats_seen_at_->ledgers.read() : std::nullopt;
  return counts ? counts->in_queue : 0;
}

void process::actor_gone(const std::string& actor, bool well) {
  if (is_over())
    return;
  auto& known = seen();
  if (!well) {
    known.died.insert(actor);
    if (actor == actor_name::spool) // in the middle of an append, perhaps
      given_.seen.world.disks[given_.instance]->trouble.was_in_doubt = true;
    if (known.stop_began)
      known.died_in_stop.insert(actor);
  }
  for (const auto& checker : given_.seen.checkers)
    checker->actor_gone(given_.seen.world, known, actor, well);
}

// -- for the supervisor -------------------------------------------------------------------------

void process::state_changed(service_state state, const std::string&) {
  if (is_over() || (state == state_ && !seen().states.empty()))
    return;
  state_ = state;
  seen().states.push_back(state);
  see_ports();
  for (const auto& checker : given_.seen.checkers)
    checker->state_shown(given_.seen.world, seen(), state);
}

void process::arm(std::optional<time_point> hard) {
  auto number = ++armed_;
  if (hard)
    leave_at(*hard, number);
}

void process::leave_at(time_point hard, uint64_t number) {
  auto wait = std::max(duration::zero(), hard - on().now());
  on().after(wait, [me = weak_from_this(), hard, number] {
    auto self = me.lock();
    if (!self || self->armed_ != number || self->is_over())
      return;
    if (auto still = self->on().stopped_for(self->id()); still > duration::zero())
      return self->leave_at(self->on().now() + still, number);
    self->end(ending::by_deadline, exit_code::forced_by_deadline);
  });
}

void process::will_be_last() {
  seen().last = signals_->ladder.presses() == 0 && !seen().stop_began;
}

void process::stand_still(duration time) {
  seen().stood_still += time;
  on().hold_all(given_.id, time);
}

void process::wait_for_stop(duration limit) {
  auto number = ++waiting_;
  on().after(limit, [me = weak_from_this(), number] {
    if (auto self = me.lock(); self && self->waiting_ == number)
      self->end(ending::killed_by_manager, exit_code::forced_by_deadline);
  });
}

void process::stop_begun(const exit_report& draft, std::optional<time_point> hard) {
  if (is_over())
    return;
  seen().stop_began = on().now();
  seen().at_stop = settings_;
  seen().draft = draft;
  arm(hard);
  if (given_.manager_limit)
    wait_for_stop(*given_.manager_limit);
}

void process::stop_moved(const exit_report& draft) {
  if (is_over())
    return;
  seen().draft = draft;
  for (const auto& checker : given_.seen.checkers)
    checker->stop_moved(given_.seen.world, seen());
}

void process::finished(const exit_report& report) {
  if (is_over())
    return;
  seen().report = report;
  seen().draft = report;
  end(ending::by_itself, report.code);
}

void process::supervisor_died(const std::string&, const exit_report& draft) {
  if (is_over())
    return;
  seen().draft = draft;
  end(ending::orphaned, exit_code::child_died);
}

void process::stop_extended(duration more, std::optional<time_point> hard) {
  if (is_over())
    return;
  wait_for_stop(more);
  if (hard)
    arm(hard);
}

duration process::watchdog_silence(const config& settings) const {
  auto dog = watchdog_settings_of(settings, std::nullopt);
  return dog.enabled ? dog.interval * 5 / 2 : duration::zero();
}

prepared_reload process::prepare_reload() {
  prepared_reload out;
  if (next_)
    out.next = std::make_shared<const config>(*next_);
  else
    out.report.accepted = outcome::failure("there is no such key");
  return out;
}

void process::apply_settings(const config_ptr& settings) {
  settings_ = settings;
  if (!is_over())
    seen().settings = settings;
}

} // namespace phi::simulation
