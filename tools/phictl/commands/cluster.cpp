#include "protocol/admin.hpp"
#include "protocol/lifecycle.hpp"
#include "protocol/names.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/pause.hpp"
#include "tools/phictl/tables.hpp"
#include "tools/phictl/unit.hpp"

#include <CLI/CLI.hpp>

#include <functional>
#include <memory>
#include <utility>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct instance_options {
  std::string instance; ///< its name
};

struct restart_slot_options {
  std::vector<std::string> command; ///< takes this instance down
  bool give_back = false;           ///< only give back the slot that was kept
  std::string give_of;              ///< only give back the slot of this instance
};

json instances_of(admin_client& client, const command_context& context) {
  return client.call(admin_wire::method_cluster, json::object(), context.timeout_or(10s));
}

void show_cluster(const command_context& context) {
  admin_client client{context};
  auto answer = instances_of(client, context);
  if (context.json) {
    print_json(answer, 2);
    return;
  }
  table rows{{"INSTANCE", "STATE", "VERSION", "STARTED", "LAST COMMIT", "SPOOLED", ""}};
  auto time = [](const json& instance, const char* name) {
    return instance.contains(name) && instance[name].is_string() ? instance[name].get<std::string>()
                                                                 : "-";
  };
  for (const auto& instance : answer["instances"]) {
    auto state = instance.value("state", "ready");
    std::string notes = instance.value("self", false) ? "this one" : "";
    auto note = [&](bool holds, const char* text) {
      if (holds)
        notes += (notes.empty() ? "" : ", ") + std::string{text};
    };
    note(instance.value("maintains", false), "maintains");
    note(instance.value("hasRestartSlot", instance.value("hasTurn", false)),
         "has the restart slot");
    rows.push_back({instance.value("instance", "?"), paint(colour_of_state(state), state),
                    instance.value("version", "?"), time(instance, "startedAt"),
                    time(instance, "lastCommitAt"),
                    group_digits(instance.value("spooled", uint64_t{0})), notes});
  }
  print_table(rows);
}

void steer_instance(const command_context& context, const std::string& instance,
                    instance_wish wish) {
  const std::string state{to_string(wish)};
  admin_client{context}.call(admin_wire::method_cluster_want,
                             {{"instance", instance}, {"state", state}}, context.timeout_or(10s));
  if (context.json)
    print_json({{"instance", instance}, {"wanted", state}});
  else
    print() << instance << " is asked to be "
            << (wish == instance_wish::drain ? "a lame duck" : "ready")
            << "; it does so with its next sign of life\n";
}

void forget_instance(const command_context& context, const std::string& instance) {
  admin_client{context}.call(admin_wire::method_cluster_forget, {{"instance", instance}},
                             context.timeout_or(10s));
  if (context.json)
    print_json({{"forgotten", instance}});
  else
    print() << instance << " is forgotten\n";
}

/// Of a service that is older than we are, as in the middle of an upgrade, by the name it knows.
void call_slot(const command_context& context, std::string_view method, std::string_view older_name,
               const json& params = json::object()) {
  try {
    admin_client{context}.call(method, params, 10s);
  } catch (const failure& e) {
    if (e.helps() != remedy::earlier_name)
      throw;
    admin_client{context}.call(older_name, params, 10s);
  }
}

/// Asks until it is granted.
void take_slot(const command_context& context, steady::time_point until) {
  for (std::string said;;) {
    try {
      call_slot(context, admin_wire::method_take_restart_slot, admin_wire::method_take_turn);
      return;
    } catch (const failure& e) {
      bool may_pass = e.helps() == remedy::later || e.status() == exit_status::not_running;
      if (!may_pass || steady::now() > until)
        throw;
      if (said != e.what() && !context.json)
        warn() << "waits for the restart slot: " << e.what() << "\n";
      said = e.what();
    }
    pause_for(std::chrono::milliseconds{250});
  }
}

/// Whether this instance is ready, and the others know.
bool is_back(const command_context& context) {
  const auto ready = to_string(service_state::ready);
  try {
    admin_client client{context};
    auto answer = instances_of(client, context);
    for (const auto& instance : answer["instances"])
      if (instance.value("self", false))
        return instance.value("state", "") == ready
               && client.call(admin_wire::method_status, json::object(), 5s).value("state", "")
                    == ready;
  } catch (const failure&) {
    // Not yet.
  }
  return false;
}

void give_slot(const command_context& context) {
  call_slot(context, admin_wire::method_give_restart_slot, admin_wire::method_give_turn);
}

/// For a holder that is down and will not do it itself.
void give_slot_of(const command_context& context, const std::string& instance) {
  call_slot(context, admin_wire::method_give_restart_slot, admin_wire::method_give_turn,
            {{"instance", instance}});
  if (context.json)
    print_json({{"restartSlot", false}, {"turn", false}, {"instance", instance}});
  else
    print() << instance << " no longer has the restart slot\n";
}

void in_restart_slot(const command_context& context, const restart_slot_options& options) {
  const auto& command = options.command;
  if (options.give_back)
    return give_slot(context);
  if (!options.give_of.empty())
    return give_slot_of(context, options.give_of);
  if (command.empty())
    throw failure{exit_status::usage, "which command? For example: phictl cluster restart-slot -- "
                                      "systemctl restart phi-backend"};
  auto until = steady::now() + context.timeout_or(10min);
  take_slot(context, until);
  auto status = run(command);
  constexpr auto kept =
    "; the restart slot is kept, so that no other instance goes down. Repair this one, then: "
    "phictl cluster restart-slot --give-back";
  if (status == not_installed)
    throw failure{exit_status::failed, "cannot run " + command[0] + kept};
  if (status != 0)
    throw failure{exit_status::failed,
                  command[0] + " ended with status " + std::to_string(status) + kept};
  while (!is_back(context)) {
    if (steady::now() > until)
      throw failure{exit_status::timed_out, std::string{"the service did not become ready"} + kept};
    pause_for(std::chrono::milliseconds{100});
  }
  give_slot(context);
  if (context.json)
    print_json({{"done", true}});
  else
    print() << "done; this instance is ready again\n";
}

CLI::App* add_restart_slot(CLI::App& cluster, const char* name, command_context& context) {
  auto* slot = cluster.add_subcommand(
    name,
    "Run a command that takes this instance down, while no other one is: for rolling restarts");
  auto options = std::make_shared<restart_slot_options>();
  slot->add_option("COMMAND", options->command, "The command, behind --");
  slot->add_flag("--give-back", options->give_back,
                 "Give the slot back that was kept after a failure");
  slot->add_option("--give", options->give_of, "Give back the slot of an instance that is down")
    ->type_name("INSTANCE");
  slot->footer("Example: phictl cluster restart-slot -- systemctl restart phi-backend")
    ->callback([&context, options] { in_restart_slot(context, *options); });
  return slot;
}

/// A command about one instance.
void add_about_instance(CLI::App& cluster, const std::string& name, const char* help,
                        const char* about, std::function<void(const std::string&)> run) {
  auto options = std::make_shared<instance_options>();
  auto* command = cluster.add_subcommand(name, help);
  command->add_option("INSTANCE", options->instance, about)->required();
  command->footer("Example: phictl cluster " + name + " web-2")
    ->callback([options, run = std::move(run)] { run(options->instance); });
}

} // namespace

void add_cluster(CLI::App& app, command_context& context) {
  auto* cluster =
    app.add_subcommand("cluster", "See and steer the instances that share a database");
  cluster->require_subcommand(1);
  cluster->footer("Example: phictl cluster list");
  cluster->add_subcommand("list", "All instances, their states, last commits and spools")
    ->footer("Example: phictl cluster list")
    ->callback([&context] { show_cluster(context); });
  constexpr auto listed = "Its name, as in phictl cluster list";
  add_about_instance(
    *cluster, "drain", "Make an instance a lame duck", listed,
    [&context](const auto& name) { steer_instance(context, name, instance_wish::drain); });
  add_about_instance(
    *cluster, "undrain", "Make an instance ready again", listed,
    [&context](const auto& name) { steer_instance(context, name, instance_wish::ready); });
  add_about_instance(*cluster, "forget", "Strike an instance off that will not come back",
                     "Its name", [&context](const auto& name) { forget_instance(context, name); });
  add_restart_slot(*cluster, "restart-slot", context);
  add_restart_slot(*cluster, "turn", context)->group(""); // its earlier name, in scripts
}

} // namespace phi::ctl
