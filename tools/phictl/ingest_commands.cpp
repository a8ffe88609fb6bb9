#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/line_reader.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <poll.h>
#include <unistd.h>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

// -- sending ------------------------------------------------------------------------------------

struct sent {
  uint64_t stored = 0;
  uint64_t duplicates = 0;
  uint64_t rejected = 0;
  uint64_t batches = 0;

  void add(const json& answer) {
    stored += answer.value("stored", uint64_t{0});
    duplicates += answer.value("duplicates", uint64_t{0});
    rejected += answer["rejected"].size();
    ++batches;
  }
};

/// Waits where there is nothing to wait on.
void pause_for(std::chrono::milliseconds time) {
  ::poll(nullptr, 0, static_cast<int>(time.count()));
}

/// Sends batches, again and again while the service is away, starting or overloaded: events have
/// ids, so that nothing counts twice.
class sender {
public:
  explicit sender(const context& with) : with_(with) {}

  json send(const std::string& lines) {
    auto until = steady::now() + with_.timeout_or(5min);
    for (auto wait = 100ms;; wait = std::min(wait * 2, 5000ms)) {
      try {
        if (!client_)
          client_ = std::make_unique<admin_client>(with_);
        return client_->call(admin_wire::method_ingest, {{"lines", lines}}, 60s);
      } catch (const failure& e) {
        bool may_pass =
          e.how() == outcome::not_running || e.how() == outcome::timed_out || e.again();
        if (!may_pass || steady::now() + wait > until)
          throw;
        if (!e.again())
          client_.reset();
      }
      pause_for(wait);
    }
  }

private:
  const context& with_;
  std::unique_ptr<admin_client> client_;
};

void print_rejected(const json& answer, uint64_t first_line) {
  for (const auto& one : answer["rejected"])
    std::cerr << "line " << first_line + one.value("index", uint64_t{0}) << ": "
              << one.value("code", "?") << " " << one.value("pointer", "") << " "
              << one.value("message", "") << "\n";
}

void print_sent(const context& with, const sent& all) {
  if (with.json)
    std::cout << json{{"stored", all.stored},
                      {"duplicates", all.duplicates},
                      {"rejected", all.rejected}}
                   .dump()
              << "\n";
  else
    std::cout << group_digits(all.stored) << " stored, " << group_digits(all.duplicates)
              << " known already, " << group_digits(all.rejected) << " rejected\n";
}

struct event_words {
  std::string feature, action, route, method, user, id, source, instance;
  int status = 0;
  double duration_ms = -1;

  bool any() const { return !feature.empty() || !route.empty() || !action.empty(); }
  json event() const {
    json out = json::object();
    auto put = [&](const char* name, const std::string& value) {
      if (!value.empty())
        out[name] = value;
    };
    put("feature", feature);
    put("action", action);
    put("route", route);
    put("method", method);
    put("user", user);
    put("id", id);
    put("source", source);
    put("instance", instance);
    if (status > 0)
      out["status"] = status;
    if (duration_ms >= 0)
      out["durationMs"] = duration_ms;
    return out;
  }
};

constexpr size_t batch_lines = 1000;
constexpr size_t batch_bytes = 400'000; // as a JSON text within the line limit of the socket

/// Lines gathered until there are enough for a request.
class batch {
public:
  bool full() const { return lines_ >= batch_lines || text_.size() >= batch_bytes; }
  bool empty() const { return lines_ == 0; }
  size_t lines() const { return lines_; }
  void add(const std::string& line) {
    text_ += line;
    text_ += '\n';
    ++lines_;
  }
  std::string take() {
    lines_ = 0;
    return std::exchange(text_, {});
  }

private:
  std::string text_;
  size_t lines_ = 0;
};

void send(const context& with, const event_words& words) {
  sender to{with};
  sent all;
  uint64_t first_line = 1;
  auto deliver = [&](const std::string& lines, size_t count) {
    auto answer = to.send(lines);
    print_rejected(answer, first_line);
    first_line += count;
    all.add(answer);
  };
  if (words.any()) {
    deliver(words.event().dump() + "\n", 1);
  } else {
    batch now;
    for (std::string line; std::getline(std::cin, line);) {
      now.add(line);
      if (auto count = now.lines(); now.full())
        deliver(now.take(), count);
    }
    if (auto count = now.lines(); count > 0)
      deliver(now.take(), count);
  }
  print_sent(with, all);
  if (all.rejected > 0)
    throw failure{outcome::failed, ""};
}

// -- import -------------------------------------------------------------------------------------

/// How far an import has come, in a file beside the imported one.
class bookmark {
public:
  explicit bookmark(const std::string& file) : path_(file + ".phi-import"), of_(fingerprint(file)) {
    std::ifstream in{path_};
    auto saved = json::parse(in, nullptr, false);
    if (saved.is_object() && saved.value("file", "") == of_)
      lines_ = saved.value("lines", uint64_t{0});
  }

  uint64_t lines() const { return lines_; }
  const std::string& of() const { return of_; }

  void save(uint64_t lines) {
    std::ofstream out{path_ + ".new", std::ios::trunc};
    out << json{{"file", of_}, {"lines", lines}}.dump() << "\n";
    out.close();
    std::error_code ignored; // without it the import only begins anew
    std::filesystem::rename(path_ + ".new", path_, ignored);
  }
  void remove() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

private:
  std::string path_;
  std::string of_;
  uint64_t lines_ = 0;
};

/// "[#####.....]  52 %  120 000 lines/s, 12 s left", on a terminal; a line every ten seconds else.
class progress_bar {
public:
  explicit progress_bar(std::string name) : name_(std::move(name)) {}
  ~progress_bar() {
    if (terminal_ && shown_)
      std::cerr << "\r\033[K";
  }

  void show(double done, uint64_t lines) {
    auto now = steady::now();
    if (now < next_)
      return;
    next_ = now + (terminal_ ? 200ms : 10'000ms);
    auto seconds = std::chrono::duration<double>(now - began_).count();
    if (seconds < 0.2)
      return;
    shown_ = true;
    auto rate = static_cast<double>(lines) / seconds;
    auto left = done > 0.001 ? seconds / done * (1 - done) : 0;
    constexpr int width = 30;
    auto full = static_cast<int>(done * width);
    std::cerr << (terminal_ ? "\r\033[K" : "") << name_ << " ["
              << std::string(static_cast<size_t>(full), '#')
              << std::string(static_cast<size_t>(width - full), '.') << "] "
              << static_cast<int>(done * 100) << " %  " << group_digits(static_cast<uint64_t>(rate))
              << " lines/s, " << show_seconds(left) << " left" << (terminal_ ? "" : "\n")
              << std::flush;
  }

private:
  std::string name_;
  bool terminal_ = ::isatty(STDERR_FILENO);
  bool shown_ = false;
  steady::time_point began_ = steady::now();
  steady::time_point next_ = steady::now();
};

/// An event without an id gets one from its place in the file: so a second import counts nothing
/// twice.
std::string with_identity(const std::string& line, const std::string& file, uint64_t number) {
  auto event = json::parse(line, nullptr, false);
  if (!event.is_object() || event.contains("id"))
    return line; // the service says what is wrong with it
  event["id"] = std::to_string(number);
  event["source"] = "import:" + file;
  return event.dump(-1, ' ', false, json::error_handler_t::replace);
}

sent import_file(const context& with, const std::string& file) {
  line_reader in{file};
  bookmark mark{file};
  progress_bar bar{std::filesystem::path{file}.filename().string()};
  sender to{with};
  sent all;
  batch now;
  uint64_t number = 0;
  uint64_t first = mark.lines() + 1;
  if (mark.lines() > 0)
    std::cerr << "goes on behind line " << group_digits(mark.lines()) << " of " << file << "\n";
  auto deliver = [&] {
    auto answer = to.send(now.take());
    print_rejected(answer, first);
    all.add(answer);
    first = number + 1;
    mark.save(number);
    bar.show(in.done(), number - mark.lines());
  };
  for (std::string line; in.next(line);) {
    if (++number <= mark.lines())
      continue;
    now.add(with_identity(line, mark.of(), number));
    if (now.full())
      deliver();
  }
  if (!now.empty())
    deliver();
  mark.remove();
  return all;
}

void import(const context& with, const std::vector<std::string>& files) {
  sent all;
  for (const auto& file : files) {
    auto one = import_file(with, file);
    all.stored += one.stored;
    all.duplicates += one.duplicates;
    all.rejected += one.rejected;
  }
  print_sent(with, all);
  if (all.rejected > 0)
    throw failure{outcome::failed, ""};
}

void add_send_command(CLI::App& app, context& with) {
  auto words = std::make_shared<event_words>();
  auto* sending = app.add_subcommand("send", "Send an event, or events from stdin, one a line");
  sending->add_option("--feature", words->feature, "What was used");
  sending->add_option("--action", words->action, "What was done with it");
  sending->add_option("--route", words->route, "Route of a request");
  sending->add_option("--method", words->method, "Method of a request");
  sending->add_option("--status", words->status, "Status, from 100 to 599");
  sending->add_option("--duration-ms", words->duration_ms, "How long it took");
  sending->add_option("--user", words->user, "Who; stored as a keyed hash only");
  sending->add_option("--id", words->id, "Identity: the same one counts once");
  sending->add_option("--source", words->source, "Whose identity it is");
  sending->add_option("--instance", words->instance, "Where it happened");
  sending->footer("Example: phictl send --feature login --status 200 --id login-1")
    ->callback([&with, words] { send(with, *words); });
}

} // namespace

void add_ingest_commands(CLI::App& app, context& with) {
  add_send_command(app, with);
  auto files = std::make_shared<std::vector<std::string>>();
  auto* importing = app.add_subcommand(
    "import", "Import files of events, one a line, also gzip or zstd; run again it resumes");
  importing->add_option("FILE", *files, "The files")->required()->check(CLI::ExistingFile);
  importing->footer("Example: phictl import 2025.ndjson.zst")->callback([&with, files] {
    import(with, *files);
  });
}

} // namespace phi::ctl
