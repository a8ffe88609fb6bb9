#include "protocol/platform/descriptor.hpp"
#include "protocol/platform/terminal.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/delivery.hpp"
#include "tools/phictl/line_reader.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

#include <cmath>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace phi::ctl {
namespace {

struct send_options {
  std::optional<std::string> feature, action, route, method, user, id, source, instance;
  std::optional<int> status;
  std::optional<double> duration_ms;

  bool any() const {
    return feature || action || route || method || user || id || source || instance || status
           || duration_ms;
  }
  /// What was not given is left out; what is wrong with the others the service says.
  json event() const {
    json out = json::object();
    auto put = [&](const char* name, const auto& value) {
      if (value)
        out[name] = *value;
    };
    put("feature", feature);
    put("action", action);
    put("route", route);
    put("method", method);
    put("user", user);
    put("id", id);
    put("source", source);
    put("instance", instance);
    put("status", status);
    if (duration_ms && !std::isfinite(*duration_ms)) // JSON has no such number
      throw failure{exit_status::usage, "--duration-ms: a number of milliseconds, such as 12.5"};
    put("durationMs", duration_ms);
    return out;
  }
};

/// A file that is read from its beginning can be sent again; a pipe cannot.
bool stdin_is_whole_file() {
  struct stat about {};
  return ::fstat(STDIN_FILENO, &about) == 0 && S_ISREG(about.st_mode)
         && ::lseek(STDIN_FILENO, 0, SEEK_CUR) == 0;
}

void send(const command_context& context, const send_options& options) {
  delivery to{context};
  if (options.any()) {
    auto event = options.event();
    for (const auto& [name, value] : event.items())
      if (value.is_string()
          && find_invalid_utf8(value.get_ref<const std::string&>()) != std::string::npos)
        throw failure{exit_status::usage, "--" + name + " is no UTF-8"};
    to.add(pack_json(event), 1, random_identity());
    to.flush();
    return finish_delivery(context, to.counts());
  }
  line_reader in{standard_input};
  auto file = stdin_is_whole_file();
  bool told = file || is_terminal(standard_input); // nobody types the same lines again
  line_chain chain{file ? "" : random_identity()};
  std::string line;
  for (uint64_t number = 1; in.next(line); ++number) {
    auto id = chain.next(line);
    if (in.cut())
      to.refuse_long(number);
    else
      to.add(line, number, id);
    if (!told && to.identified_some()) {
      told = true;
      warn() << "lines without an id come from a pipe: when they are sent again they count again."
                " Lines of a file count once (phictl send < FILE, phictl import FILE), and so do"
                " those with ids of their own\n";
    }
    if (in.waits()) // whoever writes slowly sees each line counted
      to.flush();
  }
  to.flush();
  finish_delivery(context, to.counts());
}

} // namespace

void add_send(CLI::App& app, command_context& context) {
  auto options = std::make_shared<send_options>();
  auto* command = app.add_subcommand("send", "Send an event, or events from stdin, one a line");
  command->add_option("--feature", options->feature, "What was used");
  command->add_option("--action", options->action, "What was done with it");
  command->add_option("--route", options->route, "Route of a request");
  command->add_option("--method", options->method, "Method of a request");
  command->add_option("--status", options->status, "Status, from 100 to 599");
  command->add_option("--duration-ms", options->duration_ms, "How long it took");
  command->add_option("--user", options->user, "Who; stored as a keyed hash only");
  command->add_option("--id", options->id, "Identity: the same one counts once");
  command->add_option("--source", options->source, "Whose identity it is");
  command->add_option("--instance", options->instance, "Where it happened");
  command
    ->footer("Lines of a file (phictl send < FILE) count once however often they are sent; those"
             " of a pipe\ncount each time, unless they have ids.\n\nExample: phictl send --feature "
             "login --status 200 --id login-1")
    ->callback([&context, options] { send(context, *options); });
}

} // namespace phi::ctl
