#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/pause.hpp"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <memory>
#include <spawn.h>
#include <sys/wait.h>

extern char** environ; // NOLINT: POSIX

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

// -- the spool ----------------------------------------------------------------------------------

void show_spool(const command_context& context) {
  auto answer =
    admin_client{context}.call(admin_wire::method_spool, json::object(), context.timeout_or(5s));
  if (context.json) {
    print_json(answer, 2);
    return;
  }
  auto bytes = answer.value("bytes", uint64_t{0});
  auto most = std::max<uint64_t>(answer.value("maxBytes", uint64_t{1}), 1);
  print() << answer.value("file", "") << "\n"
          << group_digits(answer.value("events", uint64_t{0})) << " events in "
          << group_digits(answer.value("batches", uint64_t{0})) << " batches wait, "
          << group_digits(bytes) << " bytes, " << bytes * 100 / most << " % of spool.max_bytes\n";
  if (answer["oldestAt"].is_string())
    print() << "the oldest since " << answer["oldestAt"].get<std::string>() << "\n";
  if (auto missing = answer.value("missingEvents", uint64_t{0}); missing > 0)
    print() << paint(colour::red, group_digits(missing) + " events are missing")
            << ": phictl spool fsck says more\n";
  if (answer["setAside"].empty())
    return;
  print() << group_digits(answer.value("setAsideEvents", uint64_t{0})) << " events in "
          << group_digits(answer.value("setAsideBatches", uint64_t{0}))
          << " batches are set aside; phictl spool replay tries them again\n";
  table rows{{"SET ASIDE", "EVENTS", "TAKEN", "WHY"}};
  for (const auto& one : answer["setAside"])
    rows.push_back({show_json(one["batch"]), show_json(one["events"]), one.value("takenAt", ""),
                    paint(colour::red, one.value("why", ""))});
  print_table(rows);
}

/// How the spool is, in a word: what is damaged is there and cannot be read, what is missing is not
/// there.
shown verdict_of(const json& answer) {
  if (answer.value("ok", false))
    return paint(colour::green, "sound");
  bool damaged = !answer["damaged"].empty();
  bool missing = answer.value("missingBatches", uint64_t{0}) > 0;
  return paint(colour::red, damaged && missing ? "damaged, and not whole"
                            : damaged          ? "damaged"
                                               : "not whole");
}

void check_spool(const command_context& context, bool forget_missing) {
  auto answer = admin_client{context}.call(
    admin_wire::method_spool_fsck, {{"forgetMissing", forget_missing}}, context.timeout_or(10min));
  bool ok = answer.value("ok", false);
  if (context.json)
    print_json(answer, 2);
  else {
    for (const auto& one : answer["damaged"])
      print() << paint(colour::red, "damaged") << "  batch " << show_json(one["batch"]) << ", "
              << show_json(one["events"]) << " events: " << one.value("why", "") << "\n";
    for (const auto& one : answer["missing"])
      print() << paint(colour::red, "missing") << "  batch " << show_json(one["batch"]) << ", "
              << show_json(one["events"])
              << " events: acknowledged, and not in the file any more\n";
    if (auto missing = answer.value("missingBatches", uint64_t{0}); missing > 0)
      print() << group_digits(missing) << " batches with "
              << group_digits(answer.value("missingEvents", uint64_t{0})) << " events are missing"
              << (forget_missing ? "; this is forgotten now" : "; see --forget-missing") << "\n";
    print() << group_digits(answer.value("batches", uint64_t{0})) << " batches, "
            << group_digits(answer.value("events", uint64_t{0}))
            << " events: " << verdict_of(answer) << "\n";
  }
  if (!ok)
    throw failure{exit_status::failed, ""};
}

void replay_spool(const command_context& context) {
  admin_client client{context};
  auto answer =
    client.call(admin_wire::method_spool_replay, json::object(), context.timeout_or(10s));
  auto until = steady::now() + context.timeout_or(60s);
  auto left = answer.value("events", uint64_t{0});
  uint64_t aside = 0;
  do {
    client.wait_for_end(steady::now() + 200ms);
    auto spool = client.query(admin_wire::method_spool, json::object(), 10s);
    left = spool.value("events", uint64_t{0});
    aside = spool.value("setAsideEvents", uint64_t{0});
  } while (left > 0 && steady::now() < until);
  if (context.json)
    print_json({{"requeued", answer["requeued"]}, {"left", left}, {"setAside", aside}});
  else
    print() << (left > 0 ? group_digits(left) + " events still wait for the database"
                : aside > 0
                  ? group_digits(aside) + " events are set aside again: phictl spool show says why"
                  : std::string{"the spool is empty"})
            << "\n";
  if (left > 0)
    throw failure{exit_status::timed_out, ""};
  if (aside > 0)
    throw failure{exit_status::failed, ""};
}

// -- the cluster --------------------------------------------------------------------------------

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
  auto time = [](const json& one, const char* name) {
    return one.contains(name) && one[name].is_string() ? one[name].get<std::string>() : "-";
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

void want(const command_context& context, const std::string& instance, const std::string& state) {
  admin_client{context}.call(admin_wire::method_cluster_want,
                             {{"instance", instance}, {"state", state}}, context.timeout_or(10s));
  if (context.json)
    print_json({{"instance", instance}, {"wanted", state}});
  else
    print() << instance << " is asked to be " << (state == "drain" ? "a lame duck" : "ready")
            << "; it does so with its next sign of life\n";
}

void forget(const command_context& context, const std::string& instance) {
  admin_client{context}.call(admin_wire::method_cluster_forget, {{"instance", instance}},
                             context.timeout_or(10s));
  if (context.json)
    print_json({{"forgotten", instance}});
  else
    print() << instance << " is forgotten\n";
}

/// Runs a command to its end; its exit status.
int run(std::vector<std::string> command) {
  std::vector<char*> argv;
  for (auto& word : command)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  if (posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0)
    throw failure{exit_status::failed, "cannot run " + command[0]};
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
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
  try {
    admin_client client{context};
    auto answer = instances_of(client, context);
    for (const auto& instance : answer["instances"])
      if (instance.value("self", false))
        return instance.value("state", "") == "ready"
               && client.call(admin_wire::method_status, json::object(), 5s).value("state", "")
                    == "ready";
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

void in_restart_slot(const command_context& context, const std::vector<std::string>& command,
                     bool give_back, const std::string& give_of) {
  if (give_back)
    return give_slot(context);
  if (!give_of.empty())
    return give_slot_of(context, give_of);
  if (command.empty())
    throw failure{exit_status::usage, "which command? For example: phictl cluster restart-slot -- "
                                      "systemctl restart phi-backend"};
  auto until = steady::now() + context.timeout_or(10min);
  take_slot(context, until);
  auto status = run(command);
  constexpr auto kept =
    "; the restart slot is kept, so that no other instance goes down. Mend this one, then: "
    "phictl cluster restart-slot --give-back";
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
  auto command = std::make_shared<std::vector<std::string>>();
  auto give_back = std::make_shared<bool>(false);
  auto give_of = std::make_shared<std::string>();
  slot->add_option("COMMAND", *command, "The command, behind --");
  slot->add_flag("--give-back", *give_back, "Give the slot back that was kept after a failure");
  slot->add_option("--give", *give_of, "Give back the slot of an instance that is down")
    ->type_name("INSTANCE");
  slot->footer("Example: phictl cluster restart-slot -- systemctl restart phi-backend")
    ->callback([&context, command, give_back, give_of] {
      in_restart_slot(context, *command, *give_back, *give_of);
    });
  return slot;
}

} // namespace

void add_cluster_commands(CLI::App& app, command_context& context) {
  auto* spool = app.add_subcommand("spool", "Look at the events that wait for PostgreSQL");
  spool->require_subcommand(1);
  spool->add_subcommand("show", "How much waits, and what was set aside")
    ->footer("Example: phictl spool show")
    ->callback([&context] { show_spool(context); });
  auto* fsck = spool->add_subcommand("fsck", "Read every batch, and see that none is missing");
  auto seen = std::make_shared<bool>(false);
  fsck->add_flag("--forget-missing", *seen, "You have seen what is missing; do not say it again");
  fsck->footer("Example: phictl spool fsck")->callback([&context, seen] {
    check_spool(context, *seen);
  });
  spool->add_subcommand("replay", "Try now, also what was set aside, and wait until it is empty")
    ->footer("Example: phictl --timeout 600 spool replay")
    ->callback([&context] { replay_spool(context); });
  spool->footer("Example: phictl spool show");

  auto* cluster =
    app.add_subcommand("cluster", "See and steer the instances that share a database");
  cluster->require_subcommand(1);
  cluster->add_subcommand("list", "All instances, their states, last commits and spools")
    ->footer("Example: phictl cluster list")
    ->callback([&context] { show_cluster(context); });
  auto name = std::make_shared<std::string>();
  auto steer = [&](const char* verb, const char* what, const char* state) {
    auto* one = cluster->add_subcommand(verb, what);
    one->add_option("INSTANCE", *name, "Its name, as in phictl cluster list")->required();
    one->footer(std::string{"Example: phictl cluster "} + verb + " web-2")
      ->callback([&context, name, state] { want(context, *name, state); });
  };
  steer("drain", "Make an instance a lame duck", "drain");
  steer("undrain", "Make an instance ready again", "ready");
  auto* gone = cluster->add_subcommand("forget", "Strike an instance off that will not come back");
  gone->add_option("INSTANCE", *name, "Its name")->required();
  gone->footer("Example: phictl cluster forget web-2")->callback([&context, name] {
    forget(context, *name);
  });
  add_restart_slot(*cluster, "restart-slot", context);
  add_restart_slot(*cluster, "turn", context)->group(""); // its earlier name, in scripts
  cluster->footer("Example: phictl cluster list");
}

} // namespace phi::ctl
