#include "protocol/platform/descriptor.hpp"
#include "protocol/platform/files.hpp"
#include "protocol/platform/terminal.hpp"
#include "tools/phictl/bookmark.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/delivery.hpp"
#include "tools/phictl/line_reader.hpp"
#include "tools/phictl/log_format.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/pause.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct import_options {
  std::vector<std::string> files;
  std::string again; ///< the name under which lines count once more; empty: they do not
  std::string format = "events";
  bool follow = false;
};

constexpr auto follow_pause = 200ms;

std::vector<std::string> format_names() {
  std::istringstream names{std::string{log_formats}};
  return {std::istream_iterator<std::string>{names}, {}};
}

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

/// The lines of a file on their way to the service.
class lines_importer {
public:
  lines_importer(delivery& to, const import_options& options)
    : to_(to),
      converter_(make_converter(options.format)),
      chain_(options.again) {}

  /// So many lines from the beginning are delivered already.
  void pass_over(uint64_t lines) { done_ = lines; }

  void take(const std::string& line, bool cut) {
    before_ = std::exchange(id_, chain_.next(line));
    bool is_header = ++number_ == 1 && converter_ && converter_->take_header(line);
    if (is_header || number_ <= done_)
      return;
    if (cut)
      return to_.refuse_long(number_);
    if (!converter_)
      return to_.add(line, number_, id_);
    auto converted = converter_->convert(line);
    if (!converted.why.empty())
      to_.refuse(number_, "unreadable_line " + converted.why);
    else if (!converted.left_out)
      to_.add(pack_json(converted.event), number_, id_);
  }

  uint64_t lines() const { return number_; }
  uint64_t taken() const { return number_ - std::min(number_, done_); }
  const std::string& id() const { return id_; }
  /// Of the line before the last one.
  const std::string& id_before() const { return before_; }

private:
  delivery& to_;
  std::unique_ptr<line_converter> converter_;
  line_chain chain_;
  uint64_t number_ = 0;
  uint64_t done_ = 0;
  std::string id_, before_;
};

delivered_counts import_file(const command_context& context, const std::string& file,
                             const import_options& options) {
  delivery to{context};
  bookmark mark{file, to.find_database()};
  lines_importer lines{to, options};
  lines.pass_over(mark.lines_done(options.again));
  line_reader in{file};
  progress_bar bar{std::filesystem::path{file}.filename().string()};
  to.on_delivered = [&] { bar.show(in.done(), lines.taken()); };
  uint64_t saved_batches = 0;
  for (std::string line; in.next(line);) {
    lines.take(line, in.cut());
    // A batch may have gone without this line, which did not fit: then it is not done yet.
    if (to.counts().batches != std::exchange(saved_batches, to.counts().batches)
        && to.knows_database())
      mark.save(lines.lines() - 1, lines.id_before());
  }
  to.flush();
  mark.remove();
  return to.counts();
}

/// What comes out of a pipe has no place to which one could come back: it counts as often as it is
/// sent, but for events with ids of their own.
delivered_counts import_stdin(const command_context& context, const import_options& options) {
  delivery to{context};
  auto as_asked = options;
  if (!is_at_beginning(standard_input)) // no file that could be sent again
    as_asked.again += " " + random_identity();
  lines_importer lines{to, as_asked};
  line_reader in{standard_input};
  for (std::string line; in.next(line);) {
    lines.take(line, in.cut());
    if (in.waits()) // whoever writes slowly sees each line counted
      to.flush();
  }
  to.flush();
  return to.counts();
}

bool is_same_file(const std::optional<file_facts>& left, const std::optional<file_facts>& right) {
  return left && right && left->device == right->device && left->number == right->number;
}

/// Until we are ended. What has the name of the file next is read from its beginning when the one
/// before has come to its end: logs are rotated.
void follow_file(const command_context& context, const std::string& file,
                 const import_options& options) {
  delivery to{context};
  for (;;) {
    auto opened = open_unknown(file);
    if (!opened) {
      if (errno != ENOENT) // where there is none, one may come
        throw failure{exit_status::failed, "cannot read " + file + ": " + std::strerror(errno)};
      pause_for(follow_pause);
      continue;
    }
    const auto facts = facts_of_open(opened.get());
    lines_importer lines{to, options};
    line_reader in{opened.get(), line_reader::at_end::waits};
    std::string line;
    auto take_all = [&] {
      while (in.next(line))
        lines.take(line, in.cut());
      to.flush();
    };
    for (bool there = true; there;) {
      take_all();
      const auto now = facts_at(file);
      there = !now || (is_same_file(facts, now) && now->size >= in.bytes());
      if (there)
        pause_for(follow_pause);
    }
    take_all(); // what came since, before it got another name
    in.end();
    take_all(); // a last line without an end
  }
}

void import(const command_context& context, const import_options& options) {
  if (options.follow) {
    if (options.files.size() != 1 || options.files.front() == "-")
      throw failure{exit_status::usage, "--follow takes one file"};
    return follow_file(context, options.files.front(), options);
  }
  delivered_counts all;
  for (const auto& file : options.files)
    all.add(file == "-" ? import_stdin(context, options) : import_file(context, file, options));
  finish_delivery(context, all);
}

} // namespace

void add_import(CLI::App& app, command_context& context) {
  auto options = std::make_shared<import_options>();
  auto* command = app.add_subcommand(
    "import", "Import files of events, one a line, also gzip or zstd; run again it resumes");
  command->add_option("FILE", options->files, "The files; -: stdin")
    ->required()
    ->check(CLI::ExistingFile | CLI::IsMember({"-"}));
  command->add_option("--format", options->format, "What the lines are")
    ->type_name("FORMAT")
    ->check(CLI::IsMember(format_names()))
    ->capture_default_str();
  command->add_flag("-f,--follow", options->follow,
                    "Go on with what is added to the file, and with the next one of its name");
  command
    ->add_option("--again", options->again,
                 "Count lines that were counted before once more, under this name: for files that"
                 " are the same and mean other events")
    ->type_name("NAME");
  command
    ->footer(
      "A line without an id is known by what it says and by the lines before it: a file may grow "
      "and"
      " be\nimported again.\n\nFormats: events (JSON, as the service takes them), combined and "
      "common"
      " (Apache, nginx), caddy, nginx-json\n(a log_format with escape=json and the names of nginx's"
      " variables), csv (the first line has the names of\nfields). Of a request its path is the "
      "route,"
      " and who says that it is a bot, or names no browser, has the\nuserKind bot."
      "\n\nExample: phictl import 2025.ndjson.zst\n         phictl import --format combined "
      "--follow"
      " /var/log/nginx/access.log")
    ->callback([&context, options] { import(context, *options); });
}

} // namespace phi::ctl
