#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/tables.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct spool_fsck_options {
  bool forget_missing = false; ///< what is missing was seen, and is not said again
};

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
  for (const auto& batch : answer["setAside"])
    rows.push_back({show_json(batch["batch"]), show_json(batch["events"]),
                    batch.value("takenAt", ""), paint(colour::red, batch.value("why", ""))});
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

void check_spool(const command_context& context, const spool_fsck_options& options) {
  auto answer = admin_client{context}.call(admin_wire::method_spool_fsck,
                                           {{"forgetMissing", options.forget_missing}},
                                           context.timeout_or(10min));
  bool ok = answer.value("ok", false);
  if (context.json)
    print_json(answer, 2);
  else {
    for (const auto& batch : answer["damaged"])
      print() << paint(colour::red, "damaged") << "  batch " << show_json(batch["batch"]) << ", "
              << show_json(batch["events"]) << " events: " << batch.value("why", "") << "\n";
    for (const auto& batch : answer["missing"])
      print() << paint(colour::red, "missing") << "  batch " << show_json(batch["batch"]) << ", "
              << show_json(batch["events"])
              << " events: acknowledged, and not in the file any more\n";
    if (auto missing = answer.value("missingBatches", uint64_t{0}); missing > 0)
      print() << group_digits(missing) << " batches with "
              << group_digits(answer.value("missingEvents", uint64_t{0})) << " events are missing"
              << (options.forget_missing ? "; this is forgotten now" : "; see --forget-missing")
              << "\n";
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

} // namespace

void add_spool(CLI::App& app, command_context& context) {
  auto* spool = app.add_subcommand("spool", "Look at the events that wait for PostgreSQL");
  spool->require_subcommand(1);
  spool->footer("Example: phictl spool show");
  spool->add_subcommand("show", "How much waits, and what was set aside")
    ->footer("Example: phictl spool show")
    ->callback([&context] { show_spool(context); });
  auto options = std::make_shared<spool_fsck_options>();
  auto* fsck = spool->add_subcommand("fsck", "Read every batch, and see that none is missing");
  fsck->add_flag("--forget-missing", options->forget_missing,
                 "You have seen what is missing; do not say it again");
  fsck->footer("Example: phictl spool fsck")->callback([&context, options] {
    check_spool(context, *options);
  });
  spool->add_subcommand("replay", "Try now, also what was set aside, and wait until it is empty")
    ->footer("Example: phictl --timeout 600 spool replay")
    ->callback([&context] { replay_spool(context); });
}

} // namespace phi::ctl
