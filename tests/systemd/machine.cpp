#include "tests/systemd/machine.hpp"

#include "tests/support/doctest.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace phi::testing {
namespace {

constexpr auto drop_in_folder = "/etc/systemd/system/phi-backend.service.d";
constexpr auto config_file = "/etc/phi-backend/config.toml";

std::string build_folder() {
  // .../BUILD/server/phi-backend
  return std::filesystem::path{binary()}.parent_path().parent_path();
}

void install_if_missing() {
  if (std::filesystem::exists("/usr/local/bin/phi-backend"))
    return;
  auto result = sh(source_path("deploy/install.sh") + " --no-start --from " + build_folder());
  INFO(result.out);
  REQUIRE(result.code == 0);
}

void remove_drop_ins() {
  sh("rm -f " + std::string{drop_in_folder} + "/drill.conf && systemctl daemon-reload");
}

} // namespace

shell_result sh(const std::string& line) {
  auto result = run_program({"/bin/bash", "-c", "exec 2>&1; " + line});
  while (result.out.ends_with('\n'))
    result.out.pop_back();
  return {result.code, result.out};
}

bool soon(const std::function<bool()>& holds, std::chrono::milliseconds limit) {
  auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
  return true;
}

installed_service::installed_service(const std::string& drop_in, const std::string& config,
                                     bool start) {
  install_if_missing();
  sh("systemctl stop phi-backend.service phi-backend.socket; systemctl reset-failed;"
     "rm -rf /var/lib/phi-backend/*");
  std::filesystem::create_directories(drop_in_folder);
  std::ofstream{std::string{drop_in_folder} + "/drill.conf"} << "[Service]\n" << drop_in << "\n";
  if (config.empty())
    sh("cp " + source_path("config/config.toml") + " " + config_file);
  else
    std::ofstream{config_file} << config;
  began_ = sh("date +%s.%6N").out; // a cursor would hide entries when fields are asked for (252)
  sh("systemctl daemon-reload");
  if (!start)
    return;
  auto started = sh("systemctl start phi-backend");
  INFO(started.out, journal());
  REQUIRE(started.code == 0);
}

installed_service::~installed_service() {
  sh("systemctl kill --signal=KILL phi-backend; systemctl stop phi-backend.service"
     " phi-backend.socket");
  remove_drop_ins();
}

std::string installed_service::property(const std::string& name) const {
  return sh("systemctl show --value --property=" + name + " phi-backend.service").out;
}

long installed_service::number(const std::string& name) const {
  return std::strtol(property(name).c_str(), nullptr, 10);
}

std::string installed_service::journal(const std::string& arguments) const {
  sh("journalctl --sync");
  return sh("journalctl --no-pager --unit=phi-backend.service --output=cat --since=@" + began_ + " "
            + arguments)
    .out;
}

void installed_service::heal() {
  remove_drop_ins();
  sh("systemctl restart phi-backend");
}

} // namespace phi::testing
