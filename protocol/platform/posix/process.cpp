#include "protocol/platform/process.hpp"

#include <cerrno>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <pthread.h>
#include <sstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

extern char** environ; // NOLINT: POSIX

namespace phi {
namespace {

duration now_on(clockid_t which) {
  timespec now{};
  ::clock_gettime(which, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

} // namespace

int process_id() {
  return ::getpid();
}

std::vector<std::pair<std::string, std::string>> environment_variables() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** entry = environ; entry && *entry; ++entry) {
    std::string text = *entry;
    if (auto equals = text.find('='); equals != std::string::npos)
      out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

void keep_new_files_private() {
  ::umask(0077);
}

void kill_this_process() {
  ::raise(SIGKILL);
}

process_usage usage_of_process() {
  process_usage out{.processor = now_on(CLOCK_PROCESS_CPUTIME_ID)};
  // proc(5): sizes in pages, the whole first, then what is resident.
  uint64_t whole = 0;
  uint64_t resident = 0;
  auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  if (std::ifstream{"/proc/self/statm"} >> whole >> resident) {
    out.virtual_bytes = whole * page;
    out.resident_bytes = resident * page;
  }
  auto entries_of = [](const char* directory) {
    std::error_code none;
    std::filesystem::directory_iterator all{directory, none};
    return static_cast<uint64_t>(std::distance(begin(all), end(all)));
  };
  out.threads = entries_of("/proc/self/task");
  if (auto files = entries_of("/proc/self/fd"); files > 0)
    out.open_files = files - 1; // one is that of the look itself
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
    out.most_open_files = limit.rlim_cur;
  return out;
}

int thread_id() {
  return ::gettid();
}

void name_this_thread(const char* name) {
  ::pthread_setname_np(::pthread_self(), name);
}

std::optional<thread_times> times_of_thread(int thread) {
  // Two numbers in nanoseconds: time on a processor, and time ready to run without one
  // (Documentation/scheduler/sched-stats.rst of Linux).
  std::ifstream in{"/proc/self/task/" + std::to_string(thread) + "/schedstat"};
  int64_t ran = 0;
  int64_t waited = 0;
  if (!(in >> ran >> waited))
    return std::nullopt;
  return thread_times{std::chrono::nanoseconds{ran}, std::chrono::nanoseconds{waited}};
}

bool process_is_gone(int64_t id) {
  return ::kill(static_cast<pid_t>(id), 0) != 0 && errno == ESRCH;
}

process_facts facts_of_process(int64_t id) {
  // proc(5): number, (name), state, and the 22nd field is the start.
  std::ifstream in{"/proc/" + std::to_string(id) + "/stat"};
  std::string all{std::istreambuf_iterator<char>{in}, {}};
  auto name_end = all.rfind(')'); // the name may hold anything
  if (name_end == all.npos)
    return {};
  std::istringstream rest{all.substr(name_end + 1)};
  process_facts out;
  rest >> out.state;
  constexpr int fields_between = 18; // 4 to 21
  for (int i = 0; i <= fields_between; ++i)
    rest >> out.started;
  return out;
}

std::string place_of_process_ids() {
  std::string boot;
  std::getline(std::ifstream{"/proc/sys/kernel/random/boot_id"}, boot);
  std::error_code none;
  return boot + " " + std::filesystem::read_symlink("/proc/self/ns/pid", none).string() + " ";
}

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

bool fill_with_random(void* to, size_t size) {
  return ::getentropy(to, size) == 0;
}

duration time_suspended() {
  auto awake = now_on(CLOCK_MONOTONIC); // first: the difference is never below zero
  return now_on(CLOCK_BOOTTIME) - awake;
}

} // namespace phi
