#include "protocol/platform/child_process.hpp"

#include "protocol/platform/files.hpp"

#include <cerrno>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ; // NOLINT: POSIX

namespace phi {
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
      return not_installed;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

int run_program(const std::vector<std::string>& command) {
  pid_t pid = -1;
  return spawn(command, nullptr, pid) == 0 ? wait_for(pid) : not_installed;
}

captured capture_program(const std::vector<std::string>& command, bool with_errors) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return {};
  owned_fd ours{ends[0]};
  owned_fd theirs{ends[1]};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDOUT_FILENO);
  if (with_errors)
    ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDERR_FILENO);
  else
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  int error = spawn(command, &actions, pid);
  ::posix_spawn_file_actions_destroy(&actions);
  theirs.reset();
  captured result;
  char text[4096];
  for (ptrdiff_t size = 0; error == 0 && (size = read_some(ours.get(), text, sizeof text)) > 0;)
    result.out.append(text, static_cast<size_t>(size));
  ours.reset();
  if (error == 0)
    result.status = wait_for(pid);
  while (!result.out.empty() && result.out.back() == '\n')
    result.out.pop_back();
  return result;
}

} // namespace phi
