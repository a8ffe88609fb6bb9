#include "server/platform/state_directory.hpp"

#include "actors/status_json.hpp"
#include "config/time_text.hpp"
#include "server/platform/digest.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/file.h>
#include <unistd.h>

namespace phi {
namespace {

using json = nlohmann::ordered_json;

constexpr const char* lock_name = "phi.lock";
constexpr const char* mark_name = "running.json";
constexpr const char* salt_name = "user_hash_salt";
constexpr size_t least_salt = 32;
constexpr const char* report_name = "last-exit.json";

std::string now_text() {
  return format_rfc3339(wall_clock_us());
}

} // namespace

state_directory::state_directory(std::string path)
  : path_(std::move(path)),
    started_at_(now_text()) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  lock_.reset(::open(file(lock_name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_)
    trouble_ = "cannot write to the state directory " + path_ + ": " + std::strerror(errno)
               + "; name another with server.state_dir, or give the user the right to write there";
  else if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)
    trouble_ = "another phi-backend uses the state directory " + path_
               + "; stop it, or name another directory with server.state_dir";
  else
    look_for_crash();
}

void state_directory::look_for_crash() {
  std::ifstream in{file(mark_name)};
  if (!in)
    return;
  auto mark = json::parse(in, nullptr, false);
  auto started = mark.is_object() ? mark.value("startedAt", "?") : "?";
  auto pid = mark.is_object() ? mark.value("pid", 0) : 0;
  crash_notice_ = "the last run (pid " + std::to_string(pid) + ", started " + started
                  + ") ended without a report: a crash, a kill or a power cut";
  json report{{"crashed", true}, {"exitCode", nullptr},  {"exitText", "ended without a report"},
              {"pid", pid},      {"startedAt", started}, {"noticedAt", now_text()}};
  try {
    write_file(report_name, report.dump(2) + "\n");
  } catch (const std::exception&) {
    // The notice is in the log as well.
  }
}

void state_directory::write_file(const std::string& name, const std::string& text) const {
  auto temporary = file(name.c_str()) + ".new";
  std::ofstream out{temporary, std::ios::trunc};
  out << text;
  out.close();
  if (!out)
    throw std::runtime_error("cannot write " + temporary);
  std::filesystem::rename(temporary, file(name.c_str()));
}

state_directory::kept_salt state_directory::own_salt() const {
  auto name = file(salt_name);
  std::error_code error;
  if (std::filesystem::exists(name, error)) {
    kept_salt out;
    std::ifstream{name} >> out.salt;
    if (out.salt.size() < least_salt)
      out.error =
        "cannot read the salt of the users' hashes in " + name
        + "; restore the file, or set stats.user_hash_salt; without the old one every user"
          " counts as a new one";
    return out;
  }
  kept_salt out{random_hex(32), {}};
  auto text = out.salt + "\n";
  auto temporary = name + ".new";
  owned_fd fd{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
  owned_fd directory{::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())
      || ::fsync(fd.get()) != 0 || ::rename(temporary.c_str(), name.c_str()) != 0 || !directory
      || ::fsync(directory.get()) != 0)
    return {{}, "cannot write " + name + ": " + std::strerror(errno)};
  return out;
}

void state_directory::begin_run() {
  json mark{{"pid", ::getpid()}, {"startedAt", started_at_}, {"version", PHI_VERSION}};
  try {
    write_file(mark_name, mark.dump() + "\n");
  } catch (const std::exception& e) {
    trouble_ = e.what();
  }
}

std::string state_directory::end_run(const exit_report& report) noexcept {
  try {
    json out{{"version", PHI_VERSION},
             {"pid", ::getpid()},
             {"startedAt", started_at_},
             {"endedAt", now_text()}};
    out.update(to_json(report));
    write_file(report_name, out.dump(2) + "\n");
    std::filesystem::remove(file(mark_name));
    return {};
  } catch (const std::exception& e) {
    return e.what();
  }
}

} // namespace phi
