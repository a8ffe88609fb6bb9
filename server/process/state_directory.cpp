#include "server/process/state_directory.hpp"

#include "actors/fault_point.hpp"
#include "actors/status_json.hpp"
#include "config/defaults.hpp"
#include "protocol/durable_file.hpp"
#include "protocol/platform/files.hpp"
#include "protocol/platform/process.hpp"
#include "protocol/state_files.hpp"
#include "protocol/text/duration.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/platform/digest.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

namespace phi {
namespace {

using json = nlohmann::ordered_json;

constexpr size_t least_salt = 32;
/// The mark keeps this size, so that it can be changed in place.
constexpr size_t mark_bytes = 1024;
/// What is reserved for the report; one with all actors takes about 4 KiB.
constexpr int64_t reserved_bytes = 32 * 1024;

std::string now_text() {
  return format_rfc3339(wall_clock_us());
}

[[noreturn]] void fail(const std::string& attempt, const std::string& file) {
  throw std::runtime_error("cannot " + attempt + " " + file + ": " + std::strerror(errno));
}

owned_fd open_or_fail(const std::string& file, open_mode mode) {
  auto out = open_file(file, mode);
  if (!out)
    fail("write", file);
  return out;
}

void write_or_fail(const owned_fd& to, const std::string& text, const std::string& file) {
  if (!write_bytes_at(to.get(), text, 0))
    fail("write", file);
}

/// Runs it in a thread of its own; whether it was done within `limit`. If not the thread is left
/// behind, so `work` must own all that it needs.
bool done_within(duration limit, std::function<void()> work) {
  auto done = std::make_shared<std::promise<void>>();
  auto over = done->get_future();
  std::thread{[done, work = std::move(work)] {
    work();
    done->set_value();
  }}.detach();
  return over.wait_for(limit) == std::future_status::ready;
}

std::string text_of(const json& report) {
  return report.dump(2) + "\n";
}

json summary_of(const json& report) {
  json out = json::object();
  for (const auto* name :
       {"exitCode", "verdict", "exitText", "mode", "reason", "tookMs", "endedAt"})
    out[name] = report[name];
  return out;
}

} // namespace

/// The files themselves.
class state_directory::files {
public:
  explicit files(std::string path) : path_(std::move(path)) {}

  std::string file(const char* name) const { return state_files::path(path_, name); }

  json read(const char* name) const {
    std::ifstream in{file(name)};
    return in ? json::parse(in, nullptr, false) : json{};
  }

  /// The file as a whole is the old one or the new one. A mark or a report is better than none,
  /// also where a power cut may take it.
  void replace(const char* name, const std::string& text) const {
    if (auto written = write_durably(file(name), text, when_unsure::keep); !written)
      throw std::runtime_error(written.why());
  }

  void begin(json mark) {
    mark_ = std::move(mark);
    replace(state_files::running, mark_text());
    auto reserve = file(state_files::last_exit) + ".new";
    auto room = open_or_fail(reserve, open_mode::write_anew);
    if (!reserve_room(room.get(), reserved_bytes))
      remove_file(reserve);
  }

  void note(const char* key, const json& value) {
    std::lock_guard lock{mutex_};
    mark_[key] = value;
    rewrite_mark();
  }

  /// `summary`: what is to stay of the report when it cannot be kept.
  outcome end(const std::string& report, const json& summary) noexcept {
    try {
      fault_point("report.write");
      auto reserve = file(state_files::last_exit) + ".new";
      {
        auto to = open_or_fail(reserve, open_mode::write_or_make);
        fault_point("report.opened");
        write_or_fail(to, report, reserve);
        if (!cut_file(to.get(), report.size()))
          fail("cut", reserve);
      }
      if (!replace_file(reserve, file(state_files::last_exit)))
        fail("replace", file(state_files::last_exit));
      remove_file(file(state_files::running));
      return {};
    } catch (const std::exception& e) {
      note_end(summary, e.what());
      return outcome::failure(e.what());
    }
  }

private:
  std::string mark_text() const {
    auto text = mark_.dump();
    text.resize(std::max(text.size(), mark_bytes - 1), ' ');
    return text + "\n";
  }

  /// In place: a full disk takes it as well.
  void rewrite_mark() const {
    auto to = open_or_fail(file(state_files::running), open_mode::write);
    write_or_fail(to, mark_text(), file(state_files::running));
  }

  void note_end(const json& summary, const char* why) noexcept {
    try {
      std::lock_guard lock{mutex_};
      mark_.update(summary);
      mark_["noReport"] = why;
      rewrite_mark();
    } catch (const std::exception&) {
      // What can still be said is in the log.
    }
  }

  std::string path_;
  std::mutex mutex_;
  json mark_ = json::object();
};

state_directory::state_directory(std::string path)
  : path_(std::move(path)),
    started_at_(now_text()),
    run_id_(random_hex(8)),
    files_(std::make_shared<files>(path_)) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  lock_ = open_file(files_->file(state_files::lock), open_mode::to_lock);
  if (!lock_) {
    taken_ = outcome::failure(
      "cannot write to the state directory " + path_ + ": " + std::strerror(errno)
      + "; name another with server.state_dir, or give the user the right to write there");
  } else if (!take_lock(lock_.get())) {
    taken_ = outcome::failure("another phi-backend uses the state directory " + path_
                              + "; stop it, or name another directory with server.state_dir");
  } else {
    show_lock(lock_.get()); // phictl asks whether it is held, and must not take it for that
    notice_crash();
  }
}

state_directory::~state_directory() = default;

void state_directory::notice_crash() {
  auto mark = files_->read(state_files::running);
  if (mark.is_null()) {
    last_run_ = read_run_end(files_->read(state_files::last_exit));
    return;
  }
  if (!mark.is_object())
    mark = json::object();
  auto started = mark.value("startedAt", "?");
  auto pid = mark.value("pid", 0);
  auto who = "the last run (pid " + std::to_string(pid) + ", started " + started + ") ended ";
  bool crashed = !mark.contains("exitCode");
  json report{{"crashed", crashed},
              {"exitCode", json{}},
              {"exitText", "ended without a report"},
              {"noticedAt", now_text()}};
  report.update(mark);
  last_run_ = read_run_end(report);
  if (!crashed) {
    crash_notice_ = who + "with status " + std::to_string(mark.value("exitCode", 0)) + " ("
                    + mark.value("exitText", "?")
                    + "), but its report could not be kept: " + mark.value("noReport", "?");
  } else if (auto stuck = mark.value("stuck", ""); !stuck.empty()) {
    crash_notice_ = who + "without a report: the watchdog had given it up because of " + stuck;
  } else {
    crash_notice_ = who + "without a report: a crash, a kill or a power cut";
  }
  try {
    files_->replace(state_files::last_exit, report.dump(2) + "\n");
  } catch (const std::exception&) {
    // The notice is in the log as well.
  }
}

result<std::string> state_directory::own_salt() const {
  auto name = state_files::path(path_, state_files::user_hash_salt);
  std::error_code error;
  if (std::filesystem::exists(name, error)) {
    std::string kept;
    std::ifstream{name} >> kept;
    if (kept.size() < least_salt)
      return outcome::failure(
        "cannot read the salt of the users' hashes in " + name
        + "; restore the file, or set stats.user_hash_salt; without the old one every user"
          " counts as a new one");
    return kept;
  }
  auto fresh = random_hex(32);
  if (auto written = write_durably(name, fresh + "\n"); !written)
    return written;
  return fresh;
}

outcome state_directory::begin_run() {
  try {
    files_->begin({{"pid", process_id()},
                   {"runId", run_id_},
                   {"startedAt", started_at_},
                   {"version", PHI_VERSION}});
    return {};
  } catch (const std::exception& e) {
    return outcome::failure(e.what());
  }
}

void state_directory::note_stuck(const std::string& actor) {
  done_within(defaults::stuck_dump_time, [files = files_, actor] {
    try {
      files->note("stuck", actor);
    } catch (const std::exception&) {
      // The log has it as well.
    }
  });
}

json state_directory::report_json(const exit_report& report) const {
  json out{{"version", PHI_VERSION},
           {"pid", process_id()},
           {"runId", run_id_},
           {"startedAt", started_at_},
           {"endedAt", now_text()}};
  out.update(to_json(report));
  return out;
}

outcome state_directory::end_run(const exit_report& report) noexcept {
  try {
    auto whole = report_json(report);
    return files_->end(text_of(whole), summary_of(whole));
  } catch (const std::exception& e) {
    return outcome::failure(e.what());
  }
}

outcome state_directory::end_run_within(const exit_report& report, duration limit) noexcept {
  try {
    auto ended = std::make_shared<outcome>();
    bool done = done_within(limit, [files = files_, ended, whole = report_json(report)] {
      *ended = files->end(text_of(whole), summary_of(whole));
    });
    return done ? *ended
                : outcome::failure("the disk of " + path_ + " has not answered for "
                                   + show_duration(limit));
  } catch (const std::system_error&) {
    return end_run(report); // no thread to be had
  } catch (const std::exception& e) {
    return outcome::failure(e.what());
  }
}

} // namespace phi
