#include "tools/phictl/delivery.hpp"

#include "protocol/admin.hpp"
#include "protocol/lifecycle.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/line_identity.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/pause.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

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

} // namespace

/// Sends batches, again and again while the service is away, starting or overloaded: events have
/// ids, so that nothing counts twice.
class batch_sender {
public:
  explicit batch_sender(const command_context& context) : context_(context) {}

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
  template <class Action>
  std::invoke_result_t<Action> insist(Action action) {
    auto until = steady::now() + context_.timeout_or(5min);
    for (auto wait = 100ms;; wait = std::min(wait * 2, 5000ms)) {
      try {
        connect();
        return action();
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
    if (id.empty() && answer.value("state", "") == to_string(service_state::starting))
      throw failure{exit_status::failed, "the service is starting", remedy::later};
    return id;
  }

  const command_context& context_;
  std::unique_ptr<admin_client> client_;
  std::optional<std::string> database_;
  bool waits_said_ = false;
};

/// Lines gathered until there are enough for a request.
class line_batch {
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

// -- counts -------------------------------------------------------------------------------------

void delivered_counts::add(const json& answer) {
  stored += answer.value("stored", uint64_t{0});
  duplicates += answer.value("duplicates", uint64_t{0});
  rejected += answer["rejected"].size();
  ++batches;
}

void delivered_counts::add(const delivered_counts& others) {
  stored += others.stored;
  duplicates += others.duplicates;
  rejected += others.rejected;
  batches += others.batches;
}

void finish_delivery(const command_context& context, const delivered_counts& counts) {
  if (context.json)
    print_json({{"stored", counts.stored},
                {"duplicates", counts.duplicates},
                {"rejected", counts.rejected}});
  else
    print() << group_digits(counts.stored) << " stored, " << group_digits(counts.duplicates)
            << " known already, " << group_digits(counts.rejected) << " rejected\n";
  if (counts.rejected > 0)
    throw failure{exit_status::failed, ""};
}

// -- delivery -----------------------------------------------------------------------------------

delivery::delivery(const command_context& context)
  : sender_(std::make_unique<batch_sender>(context)),
    batch_(std::make_unique<line_batch>()),
    most_lines_(batch_lines) {}

delivery::~delivery() = default;

std::string delivery::find_database() {
  return sender_->find_database();
}

bool delivery::knows_database() const {
  return sender_->knows_database();
}

void delivery::refuse(uint64_t number, const std::string& why) {
  warn() << "line " << number << ": " << why << "\n";
  ++counts_.rejected;
}

void delivery::refuse_long(uint64_t number) {
  refuse(number, "event_too_large a line may have up to 1 MiB");
}

void delivery::add(std::string line, uint64_t number, const std::string& id) {
  if (line.find_first_not_of(" \t\r") == line.npos)
    return;
  if (auto at = find_invalid_utf8(line); at != line.npos)
    return refuse(number, "not_utf8 byte " + std::to_string(at + 1) + " is no UTF-8");
  auto length = line.size();
  line = with_identity(std::move(line), id);
  identified_ |= line.size() != length;
  auto bytes = bytes_in_json(line) + 2;
  if (bytes > batch_bytes)
    return refuse_long(number);
  if (!batch_->has_room_for(bytes))
    flush();
  batch_->add(line, number);
  if (batch_->full())
    flush();
}

void delivery::flush() {
  if (batch_->empty())
    return;
  auto gathered = std::exchange(*batch_, {});
  for (size_t n = 0; n < gathered.lines();)
    n += deliver(gathered, n, std::min(gathered.lines() - n, most_lines_));
  if (on_delivered)
    on_delivered();
}

/// Sends so many lines from the nth on; gives how many have gone. None, when the service does not
/// take so many at a time: from now on half of them are. Its settings may be others each time.
size_t delivery::deliver(const line_batch& from, size_t n, size_t count) {
  auto answer = sender_->send(from.text(n, count));
  if (!answer && count > 1) {
    most_lines_ = count / 2;
    return 0;
  }
  if (!answer)
    throw failure{exit_status::failed, "the service does not take line "
                                         + std::to_string(from.number(n)) + ", not even alone"};
  for (const auto& rejected : (*answer)["rejected"])
    warn() << "line " << from.number(n + rejected.value("index", uint64_t{0})) << ": "
           << rejected.value("code", "?") << " " << rejected.value("pointer", "") << " "
           << rejected.value("message", "") << "\n";
  counts_.add(*answer);
  return count;
}

} // namespace phi::ctl
