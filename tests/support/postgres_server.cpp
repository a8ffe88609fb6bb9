#include "tests/support/postgres_server.hpp"

#include <libpq-fe.h>

#include <arpa/inet.h>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <netinet/in.h>
#include <pwd.h>
#include <random>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace phi::testing {
namespace {

namespace fs = std::filesystem;

std::string programs() {
  for (int version = 20; version >= 14; --version)
    if (auto path = "/usr/lib/postgresql/" + std::to_string(version) + "/bin"; fs::exists(path))
      return path;
  throw std::runtime_error("PostgreSQL's server is not installed: tools/packages test");
}

/// PostgreSQL refuses to run as root.
std::vector<std::string> as_its_user(std::vector<std::string> command) {
  if (::geteuid() == 0)
    command.insert(command.begin(), {"/usr/sbin/runuser", "-u", "postgres", "--"});
  return command;
}

void give_to_its_user(const std::string& directory) {
  if (::geteuid() != 0)
    return;
  const auto* user = ::getpwnam("postgres");
  if (!user || ::chown(directory.c_str(), user->pw_uid, user->pw_gid) != 0)
    throw std::runtime_error("there is no user postgres to run PostgreSQL as");
}

/// initdb takes a second; a copy does not.
const std::string& empty_cluster() {
  static temp_dir dir;
  static const std::string data = [] {
    give_to_its_user(dir.path());
    auto made = run_program(
      as_its_user({programs() + "/initdb", "--no-sync", "--auth=trust", "--username=phi",
                   "--encoding=UTF8", "--locale=C.UTF-8", dir.path("data")}));
    if (made.code != 0)
      throw std::runtime_error("initdb: " + made.out + made.err);
    return dir.path("data");
  }();
  return data;
}

} // namespace

uint16_t free_port() {
  // Below the ports that the kernel gives to whoever connects: else some connection may sit on the
  // port while a server is stopped, or between this question and the start. By chance, for other
  // programs ask too.
  static std::mt19937 chance{std::random_device{}()};
  std::uniform_int_distribution<int> ports{10240, 32000};
  for (int tries = 0; tries < 1000; ++tries) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<uint16_t>(ports(chance)));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool free = ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
    ::close(fd);
    if (free)
      return ntohs(at.sin_port);
  }
  throw std::runtime_error("no port is free");
}

postgres_server::postgres_server(const std::string& settings, const std::string& at)
  : data_((at.empty() ? dir_.path() : at) + "/data"),
    port_(free_port()) {
  give_to_its_user(dir_.path());
  if (!at.empty())
    give_to_its_user(at);
  run({"/bin/cp", "-a", empty_cluster(), data_});
  configure(settings);
  start();
}

postgres_server::postgres_server(const postgres_server& primary, uint16_t port)
  : data_(dir_.path("data")),
    port_(port) {
  give_to_its_user(dir_.path());
  run({programs() + "/pg_basebackup", "--pgdata=" + data_, "--write-recovery-conf",
       "--checkpoint=fast", "--wal-method=stream", "--dbname=" + primary.url()});
  configure("");
  start();
}

postgres_server::~postgres_server() {
  try {
    if (running_)
      stop("immediate");
  } catch (const std::exception&) {
    // The directory goes all the same.
  }
}

void postgres_server::run(const std::vector<std::string>& args) const {
  auto ended = run_program(as_its_user(args));
  if (ended.code != 0)
    throw std::runtime_error(args[0] + ": " + ended.out + ended.err + read_file(dir_.path("log")));
}

void postgres_server::configure(const std::string& settings) {
  std::ofstream{data_ + "/postgresql.conf", std::ios::app}
    << "\nlisten_addresses = '127.0.0.1'\nport = " << port_ << "\nunix_socket_directories = '"
    << dir_.path() << "'\nshared_buffers = 64MB\nmax_connections = 40\n"
    << settings << "\n";
}

std::string postgres_server::url(uint16_t port) {
  return "postgresql://phi@127.0.0.1:" + std::to_string(port) + "/postgres";
}

void postgres_server::start() {
  run({programs() + "/pg_ctl", "--pgdata=" + data_, "--log=" + dir_.path("log"), "--wait",
       "--silent", "start"});
  running_ = true;
}

void postgres_server::stop(const std::string& mode) {
  running_ = false;
  auto stop_in = [this](const std::string& in) {
    return std::vector<std::string>{
      programs() + "/pg_ctl", "--pgdata=" + data_, "--mode=" + in, "--wait",
      "--timeout=30",         "--silent",          "stop"};
  };
  // One that has just begun to recover from a crash may miss the request, and refuses everybody
  // from then on without going (seen with version 15).
  if (mode != "immediate" && run_program(as_its_user(stop_in(mode))).code == 0)
    return;
  run(stop_in("immediate"));
}

void postgres_server::promote() {
  run({programs() + "/pg_ctl", "--pgdata=" + data_, "--wait", "--silent", "promote"});
}

void postgres_server::set(const std::string& lines) {
  std::ofstream{data_ + "/postgresql.conf", std::ios::app} << lines << "\n";
  run({programs() + "/pg_ctl", "--pgdata=" + data_, "--silent", "reload"});
}

std::string postgres_server::ask(const std::string& sql) const {
  auto column = asked()(sql);
  return column.empty() ? std::string{} : column[0];
}

void postgres_server::kill_backends() const {
  for (const auto& row : postgres_session{url()}.run(
         "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'phi-backend%'"))
    ::kill(std::stoi(row[0]), SIGKILL);
}

question postgres_server::asked() const {
  return [url = url()](const std::string& sql) {
    std::vector<std::string> out;
    for (auto& row : postgres_session{url}.run(sql))
      out.push_back(std::move(row.at(0)));
    return out;
  };
}

std::string postgres_server::count_mismatch() const {
  // In one state of the data: a service may be counting.
  postgres_session session{url()};
  session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  question ask = [&](const std::string& sql) {
    std::vector<std::string> out;
    for (const auto& row : session.run(sql))
      out.push_back(row.at(0));
    return out;
  };
  return testing::count_mismatch(ask, false)
         + difference(ask, "identities", "SELECT count(*) FROM event",
                      "SELECT count(*) FROM identity")
         + difference(ask, "batches", "SELECT count(*) FROM event",
                      "SELECT coalesce(sum(stored), 0) FROM batch");
}

struct postgres_session::connection {
  PGconn* handle = nullptr;
  ~connection() { PQfinish(handle); }
};

postgres_session::postgres_session(const std::string& url)
  : connection_(std::make_unique<connection>()) {
  connection_->handle = PQconnectdb(url.c_str());
  if (PQstatus(connection_->handle) != CONNECTION_OK)
    throw std::runtime_error(PQerrorMessage(connection_->handle));
}

postgres_session::~postgres_session() = default;

std::vector<std::vector<std::string>> postgres_session::run(const std::string& sql) {
  auto* result = PQexec(connection_->handle, sql.c_str());
  auto status = PQresultStatus(result);
  std::string wrong = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK
                        ? ""
                        : PQerrorMessage(connection_->handle);
  std::vector<std::vector<std::string>> out;
  for (int row = 0; row < PQntuples(result); ++row) {
    auto& texts = out.emplace_back();
    for (int column = 0; column < PQnfields(result); ++column)
      texts.emplace_back(PQgetvalue(result, row, column));
  }
  PQclear(result);
  if (!wrong.empty())
    throw std::runtime_error(sql + ": " + wrong);
  return out;
}

} // namespace phi::testing
