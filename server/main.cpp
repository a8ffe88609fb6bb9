#include "protocol/platform/descriptor.hpp"
#include "protocol/platform/process.hpp"
#include "server/commands.hpp"
#include "server/platform/signals.hpp"
#include "server/run.hpp"

int main(int argc, char** argv) {
  using namespace phi;
  block_signals();
  open_standard_descriptors();
  keep_new_files_private();
  command_line line;
  if (auto status = line.parse(argc, argv))
    return *status;
  if (!line.serves()) {
    unblock_signals(); // nothing there needs a stop of its own: a signal simply ends it
    return run_command(line);
  }
  settings_source source{line.file};
  auto loaded = source.load();
  if (!loaded.ok())
    return report_problems(loaded);
  last_resort resort; // outlives the log: a reader of the log that hangs must not hold the exit
  process_log log{level_of(loaded.values), loaded.values.logging.format};
  for (const auto& warning : loaded.warnings)
    log_warn("config", "warns: " + warning);
  return static_cast<int>(run_service(source, loaded, log, resort));
}
