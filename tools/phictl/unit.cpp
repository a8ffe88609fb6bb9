#include "tools/phictl/unit.hpp"

#include <cerrno>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

extern char** environ; // NOLINT: POSIX

namespace phi::ctl {
namespace {

int spawn(const std::vector<std::string>& command, posix_spawn_file_actions_t* actions,
          pid_t& pid) {
  std::vector<char*> argv;
  for (const auto& word : command)
    argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  return ::posix_spawnp(&pid, argv[0], actions, nullptr, argv.data(), environ);
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return 127;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

int run(const std::vector<std::string>& command) {
  pid_t pid = -1;
  return spawn(command, nullptr, pid) == 0 ? wait_for(pid) : 127;
}

void systemctl(std::vector<std::string> words) {
  words.insert(words.begin(), "systemctl");
  if (run(words) != 0)
    throw failure{exit_status::failed, "systemctl has failed; see: phictl logs"};
}

captured capture(const std::vector<std::string>& command, bool with_errors) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return {};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  if (with_errors)
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  else
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  int error = spawn(command, &actions, pid);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  captured result;
  char text[4096];
  for (ssize_t size; error == 0 && (size = ::read(ends[0], text, sizeof text)) > 0;)
    result.out.append(text, static_cast<size_t>(size));
  ::close(ends[0]);
  if (error == 0)
    result.status = wait_for(pid);
  while (!result.out.empty() && result.out.back() == '\n')
    result.out.pop_back();
  return result;
}

std::string unit_property(const command_context& context, const std::string& name) {
  return capture({"systemctl", "show", "--value", "--property=" + name, context.unit}).out;
}

bool unit_installed(const command_context& context) {
  // The test that sd_booted(3) makes.
  return std::filesystem::exists("/run/systemd/system")
         && unit_property(context, "LoadState") == "loaded";
}

std::string socket_unit(const command_context& context) {
  return context.unit.substr(0, context.unit.rfind('.')) + ".socket";
}

void no_unit(const command_context& context, const std::string& verb) {
  throw failure{exit_status::failed, "there is no unit " + context.unit + " here to " + verb
                                       + "; install it with deploy/install.sh, or run phi-backend"
                                         " yourself"};
}

} // namespace phi::ctl
