#include "tests/support/fake_children.hpp"

#include "actors/child.hpp"
#include "tests/support/virtual_time.hpp"

#include <algorithm>

namespace phi::testing {
namespace {

using namespace std::chrono_literals;

/// Adds a message of its own: "leave now".
using fake_actor = child_actor::extend<accepts<atom::tick>>;

struct fake_state {
  child_identity who;
  std::shared_ptr<told> orders;
  manner acts = manner::obedient;
  promise_of<pong> started;
};

using self_ptr = fake_actor::stateful_pointer<fake_state>;

void on_release(self_ptr self, stop_mode mode) {
  switch (self->state.acts) {
    case manner::slow: return tell_later(self, 2s, atom::tick_v);
    case manner::deaf: return;
    case manner::late:
      if (mode >= stop_mode::fast)
        leave(self, {});
      return;
    case manner::throwing: throw std::runtime_error("it broke");
    case manner::silent: return self->quit();
    case manner::twice_acking:
      tell_urgent(self, self->state.who.supervisor, atom::stopped_v,
                  stopped_report{.actor = self->state.who.name});
      return leave(self, {});
    default: return leave(self, {});
  }
}

fake_actor::behavior_type fake_behavior(self_ptr self, child_identity who, std::string name,
                                        std::shared_ptr<told> orders, manner acts) {
  set_up_child(self, std::move(who));
  self->state.orders = std::move(orders);
  self->state.acts = acts;
  if (acts == manner::failing_to_start)
    fail_to_start(self, "its port is taken");
  return {
    [self, name](atom::stop, const stop_order& order) {
      self->state.orders->lines.push_back(name + " stop " + std::string{to_string(order.mode)});
      if (self->state.acts == manner::dying)
        fail_to_start(self, "a broken heart");
    },
    [self, name](atom::release, const release_order& order) {
      self->state.orders->lines.push_back(name + " release " + std::string{to_string(order.mode)});
      on_release(self, order.mode);
    },
    [self](atom::ping) -> caf::result<pong> {
      if (self->state.acts == manner::never_starting)
        return self->make_response_promise<pong>(); // dropped: CAF 0.17 then answers nothing
      if (self->state.acts == manner::starting_late) {
        self->state.acts = manner::obedient;
        self->state.started = self->make_response_promise<pong>();
        tell_later(self, 1s, atom::tick_v);
        return self->state.started;
      }
      return pong{};
    },
    [self, name](atom::status) -> caf::result<actor_status> {
      if (self->state.acts == manner::mute)
        return self->make_response_promise<actor_status>();
      return actor_status{.actor = name, .doing = "something", .progress = 7};
    },
    [self, name](atom::apply, const config_ptr&) -> caf::result<pong> {
      self->state.orders->lines.push_back(name + " apply");
      if (self->state.acts == manner::deaf)
        return self->make_response_promise<pong>();
      return pong{};
    },
    [self](atom::tick) {
      if (self->state.started.pending())
        self->state.started.deliver(pong{});
      else
        leave(self, {});
    },
  };
}

} // namespace

bool told::has(const std::string& line) const {
  return index(line) < lines.size();
}

size_t told::index(const std::string& line) const {
  return static_cast<size_t>(std::find(lines.begin(), lines.end(), line) - lines.begin());
}

void fake_service::state_changed(service_state now, const std::string& text) {
  state = now;
  texts.push_back(text);
}

void fake_service::stop_begun(const exit_report& draft, std::optional<time_point> when) {
  last_draft = draft;
  hard = when;
}

prepared_reload fake_service::prepare_reload() {
  ++reloads;
  prepared_reload out;
  out.report.accepted = reload_accepted;
  if (reload_accepted)
    out.next = std::make_shared<const config>();
  return out;
}

fake_graph::fake_graph(virtual_system& on, std::vector<fake_child_plan> plans, bool force,
                       duration drain_delay, duration timeout, duration watchdog_silence)
  : on_(on) {
  std::vector<child_spec> specs;
  for (const auto& plan : plans) {
    (*manners)[plan.name] = plan.acts;
    auto seen_at = activities[plan.name] = std::make_shared<activity>();
    specs.push_back(
      {.name = plan.name,
       .budget = timeout / 3 - 500ms,
       .users = plan.users,
       .restartable = plan.restartable,
       .needed_in_stop = plan.needed_in_stop,
       .spared = plan.spared,
       .seen_at = seen_at,
       .start = [this, name = plan.name, seen_at](supervisor_actor up) -> child_actor {
         ++starts[name];
         child_identity who{name.c_str(), std::move(up), seen_at};
         auto actor =
           on_.keep(on_.system.spawn(fake_behavior, who, name, orders, manners->at(name)));
         actors_[name] = actor;
         return actor;
       },
       .given_up = [this, name = plan.name] { given_up.push_back(name); }});
  }
  service->silence = watchdog_silence;
  supervisor_settings with{
    .stop = {.timeout = timeout, .force = force, .force_delay = 10s, .drain_delay = drain_delay},
    .start_timeout = 5s,
    .restarts = {.limit = 3, .window = 60s, .first_wait = 100ms, .longest_wait = 1s},
    .watchdog_silence = watchdog_silence};
  supervisor = on.keep(on.system.spawn(supervisor_behavior, std::move(specs), with,
                                       service_port_ptr{service}, std::make_shared<activity>()));
  on.run();
}

void fake_graph::terminate(stop_mode mode, stop_reason reason) {
  tell_from_outside(supervisor, atom::terminate_v, mode, reason);
  on_.run();
}

void fake_graph::kill_child(const std::string& name) {
  kill_now(actors_.at(name));
  on_.run();
}

std::vector<fake_child_plan> three_children(manner http, manner stats, manner store) {
  return {{.name = "http", .acts = http, .restartable = true},
          {.name = "stats", .acts = stats, .users = {0}},
          {.name = "store", .acts = store, .restartable = true, .users = {1}}};
}

} // namespace phi::testing
