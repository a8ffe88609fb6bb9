#include "tests/support/service_process.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <spawn.h>
#include <sstream>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char** environ; // NOLINT: POSIX

namespace phi::testing {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

/// Whether a variable steers the service; a manager of ours must not be told of its state.
bool is_ours(const char* entry) {
  for (auto prefix : {"APP_", "PHI_", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_", "JOURNAL_STREAM="})
    if (std::strncmp(entry, prefix, std::strlen(prefix)) == 0)
      return true;
  return false;
}

/// The environment of the child: ours without settings of the service, and `env`.
std::vector<std::string> child_environment(const settings& env) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry; ++entry)
    if (!is_ours(*entry))
      out.emplace_back(*entry);
  for (const auto& [name, value] : env)
    out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts)
    out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// Starts a program with its outputs on the given descriptors, in an own process group.
pid_t start(std::vector<std::string> args, const settings& env, int out, int err) {
  auto environment = child_environment(env);
  auto argv = pointers(args);
  auto envp = pointers(environment);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  int error = posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0)
    throw std::runtime_error("cannot start " + args[0] + ": " + std::strerror(error));
  return pid;
}

uint16_t port_in(const std::string& log) {
  auto at = log.find("http listens");
  at = at == log.npos ? at : log.find("port=", at);
  return at == log.npos ? 0 : static_cast<uint16_t>(std::stoi(log.substr(at + 5)));
}

/// Whether a line is a stack frame of a function in our namespace: `    #3 phi::...`.
bool has_frame_of_ours(const std::string& stacks) {
  std::istringstream lines{stacks};
  for (std::string hash, function; lines >> hash;)
    if (hash.starts_with("#") && lines >> function && function.starts_with("phi::"))
      return true;
  return false;
}

/// What a sanitizer says in the log about our code. Of TSan's reports those count in which one of
/// the two accesses has a frame of ours: CAF's library is not built with TSan, so what it does
/// among itself looks like races (see tests/tsan.supp).
std::string sanitizer_finding(const std::string& log) {
  static const std::string tsan = "WARNING: ThreadSanitizer";
  if (log.find("AddressSanitizer") != log.npos || log.find("LeakSanitizer") != log.npos
      || log.find("runtime error:") != log.npos)
    return log;
  for (auto at = log.find(tsan); at != log.npos; at = log.find(tsan, at + 1)) {
    auto report = log.substr(at, log.find("==================", at) - at);
    auto accesses =
      report.substr(0, std::min(report.find("\n  Location is"), report.find("\n  Thread T")));
    if (has_frame_of_ours(accesses))
      return report;
  }
  return {};
}

} // namespace

std::string read_file(const std::string& path) {
  std::ifstream in{path};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

program_result run_program(const std::vector<std::string>& args, const settings& env) {
  temp_dir dir;
  int out = ::open(dir.path("out").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  int err = ::open(dir.path("err").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  auto pid = start(args, env, out, err);
  ::close(out);
  ::close(err);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(dir.path("out")),
          read_file(dir.path("err"))};
}

service_process::service_process(const std::string& dir, settings env, bool wait_until_ready,
                                 const std::string& config)
  : dir_(dir),
    env_(std::move(env)),
    config_(config) {
  env_.try_emplace("APP_SERVER_STATE_DIR", dir);
  env_.try_emplace("APP_SERVER_PORT", "0");
  launch(wait_until_ready);
}

void service_process::launch(bool wait_until_ready) {
  log_file_ = dir_ + "/log-" + std::to_string(steady::now().time_since_epoch().count());
  int log = ::open(log_file_.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  std::vector<std::string> command{binary()};
  if (!config_.empty())
    command.insert(command.end(), {"--config", config_});
  pid_ = start(std::move(command), env_, log, log);
  ::close(log);
  if (!wait_until_ready)
    return;
  if (!wait_for_log("supervisor is ready", std::chrono::seconds{60}))
    throw std::runtime_error("the service did not become ready:\n" + this->log());
  port_ = port_in(this->log());
}

service_process::~service_process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

void service_process::signal(int number) const {
  ::kill(pid_, number);
}

bool service_process::running() {
  siginfo_t info{};
  return pid_ > 0
         && ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0
         && info.si_pid == 0;
}

ended service_process::wait(std::chrono::milliseconds limit) {
  return wait_since(steady::now(), limit);
}

ended service_process::wait_since(steady::time_point began, std::chrono::milliseconds limit) {
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (steady::now() - began > limit)
      throw std::runtime_error("the service did not end:\n" + log());
    std::this_thread::sleep_for(1ms);
  }
  pid_ = -1;
  if (auto found = sanitizer_finding(log()); !found.empty())
    throw std::runtime_error("a sanitizer has found something:\n" + found);
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady::now() - began);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
          took};
}

ended service_process::stop() {
  auto began = steady::now(); // before the signal: on a busy machine it is dealt with at once
  signal(SIGTERM);
  return wait_since(began, std::chrono::seconds{60});
}

void service_process::kill() {
  signal(SIGKILL);
  wait();
}

std::string service_process::log() const {
  return read_file(log_file_);
}

bool service_process::wait_for_log(const std::string& text, std::chrono::milliseconds limit) {
  for (auto end = steady::now() + limit; !logged(text); std::this_thread::sleep_for(2ms))
    if (steady::now() > end || !running())
      return logged(text);
  return true;
}

std::string service_process::last_exit() const {
  return read_file(dir_ + "/last-exit.json");
}

bool has_faults() {
#ifdef PHI_FAULT_INJECTION
  return true;
#else
  return false;
#endif
}

bool has_sanitizer() {
  static const bool has = [] {
    auto program = read_file(binary());
    return program.find("__asan_init") != program.npos
           || program.find("__tsan_init") != program.npos;
  }();
  return has;
}

} // namespace phi::testing
