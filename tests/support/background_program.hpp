#pragma once
/// Another program, such as a proxy, that runs beside a test and ends with it.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

extern char** environ;

namespace phi::testing {

class background_program {
public:
  /// `words`: the program, looked up in PATH, and its arguments. What it writes goes
  /// to `log`.
  background_program(const std::vector<std::string>& words, const std::string& log) {
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_CREAT | O_WRONLY | O_APPEND,
                                       0600);
    ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
    std::vector<char*> arguments;
    for (const auto& word : words)
      arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    int error = ::posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
      throw std::runtime_error("cannot start " + words.at(0));
  }
  ~background_program() {
    ::kill(pid_, SIGTERM);
    for (int tries = 0; tries < 200; ++tries) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_)
        return;
      ::usleep(10'000);
    }
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  background_program(const background_program&) = delete;
  background_program& operator=(const background_program&) = delete;

private:
  pid_t pid_ = -1;
};

} // namespace phi::testing
