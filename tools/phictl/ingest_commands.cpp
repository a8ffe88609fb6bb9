#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/bookmark.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/line_identity.hpp"
#include "tools/phictl/line_reader.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/pause.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <type_traits>
#include <unistd.h>
#include <utility>

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

/// Sends batches, again and again while the service is away, starting or overloaded: events have
/// ids, so that nothing counts twice.
class sender {
public:
  explicit sender(const command_context& context) : context_(context) {}

  /// Nothing: that is more than the service takes at a time.
  std::optional<json> send(const std::string& lines) {
    return insist([&]() -> std::optional<json> {
      try {
        return client_->call(admin_wire::method_ingest, {{"lines", lines}},
                             context_.timeout_or(60s));
      } catch (const failure& e) {
        if (e.helps() != remedy::less)
          throw;
        return std::nullopt;
      }
    });
  }

  /// The id of the service's database; empty: it is not known. From now on it is looked at on each
  /// connection.
  std::string find_database() {
    database_ = insist([&] { return database_of(*client_); });
    return *database_;
  }
  /// Whether all has gone to that database.
  bool knows_database() const { return database_ && !database_->empty(); }

private:
  /// Does it, again and again while it may still work.
  template <class What>
  std::invoke_result_t<What> insist(What what) {
    auto until = steady::now() + context_.timeout_or(5min);
    for (auto wait = 100ms;; wait = std::min(wait * 2, 5000ms)) {
      try {
        connect();
        return what();
      } catch (const failure& e) {
        bool later = e.helps() == remedy::later;
        bool may_pass =
          e.status() == exit_status::not_running || e.status() == exit_status::timed_out || later;
        if (!may_pass || steady::now() + wait > until)
          throw;
        if (!later)
          client_.reset();
        if (!std::exchange(waits_said_, true))
          warn() << "waits for the service and tries again (see --timeout): " << e.what() << "\n";
      }
      pause_for(wait);
    }
  }

  void connect() {
    if (client_)
      return;
    auto client = std::make_unique<admin_client>(context_);
    if (knows_database()) {
      auto database = database_of(*client);
      // Lines that the old database has are missing in this one: no bookmark may say otherwise.
      if (!database.empty() && database != *database_)
        throw failure{exit_status::failed, "the service has another database than when the import"
                                           " began; run it again, and it begins at line 1"};
      database_ = database;
    }
    client_ = std::move(client);
  }

  /// One that starts is waited for: it knows soon.
  std::string database_of(admin_client& client) {
    auto answer = client.call(admin_wire::method_status, json::object(), context_.timeout_or(10s));
    auto id = answer.value("databaseId", "");
    if (id.empty() && answer.value("state", "") == "starting")
      throw failure{exit_status::failed, "the service is starting", remedy::later};
    return id;
  }

  const command_context& context_;
  std::unique_ptr<admin_client> client_;
  std::optional<std::string> database_;
  bool waits_said_ = false;
};

/// A line that never gets to the service.
void refuse(sent& all, uint64_t number, const std::string& why) {
  warn() << "line " << number << ": " << why << "\n";
  ++all.rejected;
}

void print_sent(const command_context& context, const sent& all) {
  if (context.json)
    print_json(
      {{"stored", all.stored}, {"duplicates", all.duplicates}, {"rejected", all.rejected}});
  else
    print() << group_digits(all.stored) << " stored, " << group_digits(all.duplicates)
            << " known already, " << group_digits(all.rejected) << " rejected\n";
}

struct event_words {
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

constexpr size_t batch_lines = 1000;
/// As a JSON text, within the line limit of the socket with all that stands around it.
constexpr size_t batch_bytes = admin_wire::max_line_bytes - 1024;
/// A batch that has grown to this is sent: batches of even size keep the service busiest.
constexpr size_t enough_bytes = 400'000;

/// How long a text is in JSON.
size_t bytes_in_json(std::string_view text) {
  size_t out = text.size();
  for (unsigned char c : text)
    out += c == '"' || c == '\\' ? 1 : c < 0x20 ? 5 : 0;
  return out;
}

/// Lines gathered until there are enough for a request.
class batch {
public:
  bool has_room_for(size_t bytes) const { return bytes_ + bytes <= batch_bytes; }
  bool full() const { return lines() >= batch_lines || bytes_ >= enough_bytes; }
  bool empty() const { return lines_.empty(); }
  size_t lines() const { return lines_.size(); }
  void add(const std::string& line, uint64_t number) {
    text_ += line;
    text_ += '\n';
    bytes_ += bytes_in_json(line) + 2;
    lines_.push_back({number, text_.size()});
  }
  /// So many lines from its nth on; `n + count` is at most `lines()`.
  std::string text(size_t n, size_t count) const {
    auto begin = n == 0 ? 0 : lines_[n - 1].end;
    return text_.substr(begin, lines_[n + count - 1].end - begin);
  }
  /// Of its nth line in the file.
  uint64_t number(uint64_t n) const { return n < lines() ? lines_[n].number : 0; }

private:
  struct line {
    uint64_t number;
    size_t end; ///< in the text
  };

  std::string text_;
  size_t bytes_ = 0;
  std::vector<line> lines_;
};

/// Puts lines into batches and batches on their way. Every event has an id before it is sent for
/// the first time: whatever becomes of an answer, none counts twice.
class delivery {
public:
  explicit delivery(const command_context& context) : to_(context) {}

  /// `id` is for an event that has none.
  void add(std::string line, uint64_t number, const std::string& id) {
    if (line.find_first_not_of(" \t\r") == line.npos)
      return;
    if (auto at = find_invalid_utf8(line); at != line.npos)
      return refuse(all_, number, "not_utf8 byte " + std::to_string(at + 1) + " is no UTF-8");
    auto length = line.size();
    line = with_identity(std::move(line), id);
    identified_ |= line.size() != length;
    auto bytes = bytes_in_json(line) + 2;
    if (bytes > batch_bytes)
      return refuse_long(number);
    if (!now_.has_room_for(bytes))
      flush();
    now_.add(line, number);
    if (now_.full())
      flush();
  }

  void refuse_long(uint64_t number) {
    refuse(all_, number, "event_too_large a line may have up to 1 MiB");
  }

  void flush() {
    if (now_.empty())
      return;
    auto gathered = std::exchange(now_, {});
    for (size_t n = 0; n < gathered.lines();)
      n += deliver(gathered, n, std::min(gathered.lines() - n, most_lines_));
    if (delivered)
      delivered();
  }

  const sent& all() const { return all_; }
  /// Whether there was an event that has its id from us.
  bool identified_some() const { return identified_; }

  /// Called after each batch.
  std::function<void()> delivered;

  /// Which database takes the events; from now on no other does. Empty: not known.
  std::string find_database() { return to_.find_database(); }
  bool knows_database() const { return to_.knows_database(); }

private:
  /// Sends so many lines from the nth on; gives how many have gone. None, when the service does not
  /// take so many at a time: from now on half of them are. Its settings may be others each time.
  size_t deliver(const batch& from, size_t n, size_t count) {
    auto answer = to_.send(from.text(n, count));
    if (!answer && count > 1) {
      most_lines_ = count / 2;
      return 0;
    }
    if (!answer)
      throw failure{exit_status::failed, "the service does not take line "
                                           + std::to_string(from.number(n)) + ", not even alone"};
    for (const auto& one : (*answer)["rejected"])
      warn() << "line " << from.number(n + one.value("index", uint64_t{0})) << ": "
             << one.value("code", "?") << " " << one.value("pointer", "") << " "
             << one.value("message", "") << "\n";
    all_.add(*answer);
    return count;
  }

  sender to_;
  sent all_;
  batch now_;
  bool identified_ = false;
  size_t most_lines_ = batch_lines; ///< at a time
};

/// 128 random bits in hex.
std::string random_id() {
  unsigned char bits[16];
  if (::getentropy(bits, sizeof bits) != 0)
    throw failure{exit_status::failed, "the system gives no random numbers"};
  std::string out;
  for (auto byte : bits) {
    constexpr auto digits = "0123456789abcdef";
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

/// A file that is read from its beginning can be sent again; a pipe cannot.
bool stdin_is_whole_file() {
  struct stat about {};
  return ::fstat(STDIN_FILENO, &about) == 0 && S_ISREG(about.st_mode)
         && ::lseek(STDIN_FILENO, 0, SEEK_CUR) == 0;
}

void finish(const command_context& context, const sent& all) {
  print_sent(context, all);
  if (all.rejected > 0)
    throw failure{exit_status::failed, ""};
}

void send(const command_context& context, const event_words& words) {
  delivery to{context};
  if (words.any()) {
    auto event = words.event();
    for (const auto& [name, value] : event.items())
      if (value.is_string()
          && find_invalid_utf8(value.get_ref<const std::string&>()) != std::string::npos)
        throw failure{exit_status::usage, "--" + name + " is no UTF-8"};
    to.add(pack_json(event), 1, random_id());
    to.flush();
    return finish(context, to.all());
  }
  line_reader in{STDIN_FILENO};
  auto file = stdin_is_whole_file();
  bool told = file || ::isatty(STDIN_FILENO); // nobody types the same lines again
  line_chain chain{file ? "" : random_id()};
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
  finish(context, to.all());
}

// -- import -------------------------------------------------------------------------------------

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
    next_ = now + (terminal_ ? 200ms : 10'000ms);
    auto seconds = std::chrono::duration<double>(now - began_).count();
    if (seconds < 0.2)
      return;
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
  bool terminal_ = ::isatty(STDERR_FILENO);
  bool shown_ = false;
  steady::time_point began_ = steady::now();
  steady::time_point next_ = steady::now();
};

sent import_file(const command_context& context, const std::string& file, const std::string& name) {
  delivery to{context};
  bookmark mark{file, to.find_database()};
  auto done = mark.lines_done(name);
  line_reader in{file};
  line_chain chain{name};
  progress_bar bar{std::filesystem::path{file}.filename().string()};
  uint64_t number = 0;
  std::string id;
  std::string before; // the line before the one that is being added: all up to it are delivered
  to.delivered = [&] { bar.show(in.done(), number - done); };
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
    if (to.all().batches != std::exchange(saved_batches, to.all().batches) && to.knows_database())
      mark.save(number - 1, before);
  }
  to.flush();
  mark.remove();
  return to.all();
}

void import(const command_context& context, const std::vector<std::string>& files,
            const std::string& name) {
  sent all;
  for (const auto& file : files) {
    auto one = import_file(context, file, name);
    all.stored += one.stored;
    all.duplicates += one.duplicates;
    all.rejected += one.rejected;
  }
  finish(context, all);
}

void add_send_command(CLI::App& app, command_context& context) {
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
  sending
    ->footer("Lines of a file (phictl send < FILE) count once however often they are sent; those"
             " of a pipe\ncount each time, unless they have ids.\n\nExample: phictl send --feature "
             "login --status 200 --id login-1")
    ->callback([&context, words] { send(context, *words); });
}

} // namespace

void add_ingest_commands(CLI::App& app, command_context& context) {
  add_send_command(app, context);
  auto files = std::make_shared<std::vector<std::string>>();
  auto* importing = app.add_subcommand(
    "import", "Import files of events, one a line, also gzip or zstd; run again it resumes");
  importing->add_option("FILE", *files, "The files")->required()->check(CLI::ExistingFile);
  auto name = std::make_shared<std::string>();
  importing
    ->add_option("--again", *name,
                 "Count lines that were counted before once more, under this name: for files that"
                 " are the same and mean other events")
    ->type_name("NAME");
  importing
    ->footer("A line without an id is known by what it says and by the lines before it: a file may"
             " grow and be\nimported again.\n\nExample: phictl import 2025.ndjson.zst")
    ->callback([&context, files, name] { import(context, *files, *name); });
}

} // namespace phi::ctl
