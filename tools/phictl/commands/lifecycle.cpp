#include "protocol/lifecycle.hpp"
#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;

struct lifecycle_options {
  size_t last = 20; ///< rows that are shown; 0: all
};

colour colour_of_kind(const std::string& kind) {
  auto known = parse_life_kind(kind);
  if (known == life_kind::crash || known == life_kind::forced)
    return colour::red;
  if (known == life_kind::degraded || known == life_kind::spooling || known == life_kind::lame_duck)
    return colour::yellow;
  return colour::none;
}

/// "degraded: store: ..." or "graceful, terminate, held by store: COMMIT for 1.2 s; clean stop".
std::string in_words(const json& row) {
  std::string out;
  auto add = [&out](const std::string& more, const char* between) {
    if (!more.empty())
      out += (out.empty() ? "" : between) + more;
  };
  add(row.value("mode", ""), ", ");
  add(row.value("reason", ""), ", ");
  if (row.contains("heldBy"))
    add("held by " + row.value("heldBy", "?") + " for "
          + show_seconds(row.value("heldMs", 0.0) / 1000),
        ", ");
  if (row.value("kind", "") == to_string(life_kind::start))
    add(row.value("version", ""), ", ");
  add(row.value("detail", ""), "; ");
  return out;
}

void show_lifecycle(const command_context& context, const lifecycle_options& options) {
  auto answer = admin_client{context}.call(admin_wire::method_lifecycle, json::object(),
                                           context.timeout_or(10s));
  auto& rows = answer["rows"];
  if (options.last > 0 && rows.size() > options.last)
    rows.erase(rows.begin(), rows.end() - static_cast<std::ptrdiff_t>(options.last));
  if (context.json)
    return print_json(answer, 2);
  table out{{"AT", "UNTIL", "WHAT", ""}};
  for (const auto& row : rows) {
    auto kind = row.value("kind", "?");
    out.push_back({row.value("at", "?"), row.value("until", "-"), paint(colour_of_kind(kind), kind),
                   in_words(row)});
  }
  print_table(out);
}

} // namespace

void add_lifecycle(CLI::App& app, command_context& context) {
  auto options = std::make_shared<lifecycle_options>();
  auto* command = app.add_subcommand(
    "lifecycle", "Show starts, stops, crashes, reloads and times of trouble, the newest last");
  command->add_option("-n,--last", options->last, "As many rows; 0: all that are kept")
    ->type_name("N");
  command->footer("Example: phictl lifecycle -n 50")->callback([&context, options] {
    show_lifecycle(context, *options);
  });
}

} // namespace phi::ctl
