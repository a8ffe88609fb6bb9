#include "server/process/life_history.hpp"

#include "config/defaults.hpp"
#include "protocol/durable_file.hpp"
#include "protocol/platform/files.hpp"
#include "protocol/text/rfc3339.hpp"
#include "protocol/time.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <iterator>
#include <mutex>
#include <thread>

namespace phi {
namespace {

using json = nlohmann::ordered_json;
using rows_list = std::deque<life_row>;

/// Rows are short: a file that is larger than all of them can be is none of ours.
constexpr size_t largest_file = 1 << 20;
constexpr int64_t same_trouble_us = 60'000'000;
constexpr size_t longest_detail = 300;

/// Whether it goes on from one moment to another.
bool lasts(life_kind kind) {
  return kind == life_kind::degraded || kind == life_kind::spooling || kind == life_kind::lame_duck;
}

life_kind kind_of(const run_end& end) {
  if (end.crashed)
    return life_kind::crash;
  auto code = static_cast<exit_code>(end.exit_code);
  bool forced = code == exit_code::forced_by_deadline || code == exit_code::forced_by_user;
  return forced ? life_kind::forced : life_kind::stop;
}

life_row row_of(const run_end& end) {
  life_row out{.kind = kind_of(end),
               .at_us = end.ended_us.value_or(wall_clock_us()),
               .version = end.version,
               .run_id = end.run_id};
  if (end.crashed) {
    out.detail = end.stuck_in.empty()
                   ? "ended without a report: a crash, a kill or a power cut; noticed at this time"
                   : "the watchdog had given it up because of " + end.stuck_in;
    return out;
  }
  out.until_us = out.at_us;
  out.at_us -= static_cast<int64_t>(std::clamp(end.took_ms, 0.0, 1e9) * 1000);
  out.detail = end.exit_text;
  out.mode = end.mode;
  out.reason = end.reason;
  out.exit_code = end.exit_code;
  out.took_ms = end.took_ms;
  if (!end.held_by.empty()) {
    out.held_by = end.held_by;
    out.held_ms = end.held_ms;
  }
  return out;
}

std::string file_text(const rows_list& rows) {
  json array = json::array();
  for (const auto& row : rows)
    array.push_back(to_json(row));
  return json{{"rows", std::move(array)}}.dump(1, ' ', false, json::error_handler_t::replace)
         + "\n";
}

/// Throws what is wrong with it.
rows_list read_file(std::istream& in) {
  std::string text;
  text.reserve(largest_file / 8);
  for (char c; text.size() <= largest_file && in.get(c);)
    text += c;
  auto whole = text.size() > largest_file ? json{} : json::parse(text, nullptr, false);
  if (!whole.is_object() || !whole.contains("rows") || !whole["rows"].is_array())
    throw std::runtime_error("it is not what was written there");
  rows_list out;
  for (const auto& each : whole["rows"])
    if (auto row = read_life_row(each))
      out.push_back(std::move(*row));
  return out;
}

} // namespace

/// The rows, and the thread that writes them.
class life_history::shared_rows {
public:
  explicit shared_rows(std::string file) : file_(std::move(file)) {}

  std::string read() {
    std::ifstream in{file_}; // without a name there is none
    if (!in)
      return {};
    try {
      rows_ = read_file(in);
      cut();
      return {};
    } catch (const std::exception& e) {
      auto kept = file_ + ".damaged";
      return "cannot read " + file_ + ": " + e.what() + "; it is "
             + (replace_file(file_, kept) ? "kept as " + kept : "lost")
             + " and a new history begins";
    }
  }

  /// `change` gets the rows, and says whether it has changed them.
  template <class Change>
  void change(Change change) {
    std::lock_guard lock{mutex_};
    if (!change(rows_))
      return;
    cut();
    unwritten_ = true;
    changed_.notify_all();
  }

  void show_stop(life_row row) {
    std::lock_guard lock{mutex_};
    if (stop_)
      row.at_us = stop_->at_us;
    stop_ = std::move(row);
  }

  std::vector<life_row> all() const {
    std::lock_guard lock{mutex_};
    std::vector<life_row> out{rows_.begin(), rows_.end()};
    if (stop_)
      out.push_back(*stop_);
    return out;
  }

  /// Until `leave`.
  void write_changes() {
    std::unique_lock lock{mutex_};
    while (true) {
      changed_.wait(lock, [this] { return unwritten_ || leaves_; });
      if (!unwritten_)
        break;
      unwritten_ = false;
      auto now = rows_;
      lock.unlock();
      if (!file_.empty())
        write_durably(file_, file_text(now), when_unsure::keep)
          .ignore("the next change writes all of it");
      lock.lock();
      changed_.wait_for(lock, defaults::life_write_interval, [this] { return leaves_; });
    }
    written_ = true;
    changed_.notify_all();
  }

  /// False: it is still at it after `limit`.
  bool leave(duration limit) {
    std::unique_lock lock{mutex_};
    leaves_ = true;
    changed_.notify_all();
    return changed_.wait_for(lock, limit, [this] { return written_; });
  }

private:
  void cut() {
    while (rows_.size() > most_rows)
      rows_.pop_front();
  }

  std::string file_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  rows_list rows_;
  std::optional<life_row> stop_;
  bool unwritten_ = false;
  bool leaves_ = false;
  bool written_ = false;
};

life_history::life_history(std::string file, duration last_write)
  : shared_(std::make_shared<shared_rows>(std::move(file))),
    last_write_(last_write) {
  trouble_ = shared_->read();
  std::thread{[shared_rows = shared_] { shared_rows->write_changes(); }}.detach();
}

life_history::~life_history() {
  shared_->leave(last_write_);
}

void life_history::learn_end(const run_end& end) {
  shared_->change([&](rows_list& rows) {
    auto ended = [&](const life_row& row) {
      return row.run_id == end.run_id && row.kind == kind_of(end);
    };
    if (end.run_id.empty() || std::any_of(rows.begin(), rows.end(), ended))
      return false;
    auto last = row_of(end);
    for (auto& row : rows)
      if (lasts(row.kind) && !row.until_us)
        row.until_us = last.until_us.value_or(last.at_us);
    auto began = [&](const life_row& row) {
      return row.run_id == end.run_id && row.kind == life_kind::start;
    };
    if (end.started_us && std::none_of(rows.begin(), rows.end(), began))
      rows.push_back({.kind = life_kind::start,
                      .at_us = *end.started_us,
                      .version = end.version,
                      .run_id = end.run_id});
    rows.push_back(std::move(last));
    return true;
  });
}

void life_history::begin_run(const std::string& run_id, const std::string& version) {
  shared_->change([&](rows_list& rows) {
    auto now = wall_clock_us();
    auto before = std::find_if(rows.rbegin(), rows.rend(),
                               [](const life_row& row) { return row.kind == life_kind::start; });
    if (before != rows.rend() && before->version != version)
      rows.push_back({.kind = life_kind::upgrade,
                      .at_us = now,
                      .detail = before->version + " -> " + version,
                      .version = version,
                      .run_id = run_id});
    rows.push_back({.kind = life_kind::start, .at_us = now, .version = version, .run_id = run_id});
    return true;
  });
}

void life_history::add(life_kind kind, std::string detail) {
  shared_->change([&](rows_list& rows) {
    detail.resize(std::min(detail.size(), longest_detail));
    rows.push_back({.kind = kind, .at_us = wall_clock_us(), .detail = std::move(detail)});
    return true;
  });
}

void life_history::begin(life_kind kind, std::string detail) {
  shared_->change([&](rows_list& rows) {
    auto now = wall_clock_us();
    auto last = std::find_if(rows.rbegin(), rows.rend(),
                             [&](const life_row& row) { return row.kind == kind; });
    if (last != rows.rend() && !last->until_us)
      return false;
    // The same trouble goes on: not behind a start, and not when it is another one.
    auto is_start = [](const life_row& row) { return row.kind == life_kind::start; };
    bool of_this_run = std::none_of(rows.rbegin(), last, is_start);
    if (last != rows.rend() && of_this_run && now - *last->until_us < same_trouble_us) {
      last->until_us.reset();
      return true;
    }
    detail.resize(std::min(detail.size(), longest_detail));
    rows.push_back({.kind = kind, .at_us = now, .detail = std::move(detail)});
    return true;
  });
}

void life_history::end(life_kind kind) {
  shared_->change([&](rows_list& rows) {
    bool any = false;
    for (auto& row : rows)
      if (row.kind == kind && !row.until_us) {
        row.until_us = wall_clock_us();
        any = true;
      }
    return any;
  });
}

void life_history::observe(const health_view& health) {
  auto is_away = [](const health_cause& cause) { return cause.code == ailment::database_away; };
  bool away = std::any_of(health.causes.begin(), health.causes.end(), is_away);
  bool spools = away && !health.refuses_events;
  spools ? begin(life_kind::spooling, "the database is away: events go to the spool")
         : end(life_kind::spooling);
  health.degraded() ? begin(life_kind::degraded, health.short_text()) : end(life_kind::degraded);
}

void life_history::stop_under_way(stop_mode mode, stop_reason reason) {
  shared_->show_stop({.kind = life_kind::stop,
                      .at_us = wall_clock_us(),
                      .detail = "under way",
                      .version = PHI_VERSION,
                      .mode = std::string{to_string(mode)},
                      .reason = std::string{to_string(reason)}});
}

std::vector<life_row> life_history::rows() const {
  return shared_->all();
}

} // namespace phi
