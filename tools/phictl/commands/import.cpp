#include "protocol/platform/descriptor.hpp"
#include "protocol/platform/terminal.hpp"
#include "tools/phictl/bookmark.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/delivery.hpp"
#include "tools/phictl/line_reader.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>
#include <utility>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct import_options {
  std::vector<std::string> files;
  std::string again; ///< the name under which lines count once more; empty: they do not
};

/// "[#####.....]  52 %  120 000 lines/s, 12 s left", on a terminal; a line every ten seconds else.
class progress_bar {
public:
  explicit progress_bar(std::string name) : name_(std::move(name)) {}
  ~progress_bar() {
    if (terminal_ && shown_)
      warn() << "\r\033[K";
  }

  void show(double done, uint64_t lines) {
    auto now = steady::now();
    if (now < next_)
      return;
    next_ = now + pause_;
    auto seconds = std::chrono::duration<double>(now - began_).count();
    shown_ = true;
    auto rate = static_cast<double>(lines) / seconds;
    auto left = done > 0.001 ? seconds / done * (1 - done) : 0;
    constexpr int width = 30;
    auto full = static_cast<int>(done * width);
    if (terminal_)
      warn() << "\r\033[K";
    warn() << name_ << " [" << std::string(static_cast<size_t>(full), '#')
           << std::string(static_cast<size_t>(width - full), '.') << "] "
           << static_cast<int>(done * 100) << " %  " << group_digits(static_cast<uint64_t>(rate))
           << " lines/s, " << show_seconds(left) << " left";
    if (!terminal_)
      warn() << "\n";
  }

private:
  std::string name_;
  bool terminal_ = is_terminal(standard_error);
  steady::duration pause_ = terminal_ ? 200ms : 10'000ms;
  bool shown_ = false;
  steady::time_point began_ = steady::now();
  steady::time_point next_ = began_ + pause_; ///< what is over soon needs no progress
};

delivered_counts import_file(const command_context& context, const std::string& file,
                             const std::string& name) {
  delivery to{context};
  bookmark mark{file, to.find_database()};
  auto done = mark.lines_done(name);
  line_reader in{file};
  line_chain chain{name};
  progress_bar bar{std::filesystem::path{file}.filename().string()};
  uint64_t number = 0;
  std::string id;
  std::string before; // the line before the one that is being added: all up to it are delivered
  to.on_delivered = [&] { bar.show(in.done(), number - done); };
  uint64_t saved_batches = 0;
  for (std::string line; in.next(line);) {
    before = id;
    id = chain.next(line);
    if (++number <= done)
      continue;
    if (in.cut())
      to.refuse_long(number);
    else
      to.add(line, number, id);
    // A batch may have gone without this line, which did not fit: then it is not done yet.
    if (to.counts().batches != std::exchange(saved_batches, to.counts().batches)
        && to.knows_database())
      mark.save(number - 1, before);
  }
  to.flush();
  mark.remove();
  return to.counts();
}

void import(const command_context& context, const import_options& options) {
  delivered_counts all;
  for (const auto& file : options.files)
    all.add(import_file(context, file, options.again));
  finish_delivery(context, all);
}

} // namespace

void add_import(CLI::App& app, command_context& context) {
  auto options = std::make_shared<import_options>();
  auto* command = app.add_subcommand(
    "import", "Import files of events, one a line, also gzip or zstd; run again it resumes");
  command->add_option("FILE", options->files, "The files")->required()->check(CLI::ExistingFile);
  command
    ->add_option("--again", options->again,
                 "Count lines that were counted before once more, under this name: for files that"
                 " are the same and mean other events")
    ->type_name("NAME");
  command
    ->footer("A line without an id is known by what it says and by the lines before it: a file may"
             " grow and be\nimported again.\n\nExample: phictl import 2025.ndjson.zst")
    ->callback([&context, options] { import(context, *options); });
}

} // namespace phi::ctl
