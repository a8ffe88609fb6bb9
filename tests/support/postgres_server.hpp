#pragma once
/// A real PostgreSQL server of the test's own, on a loopback port, in a directory that is removed
/// with it. Needs PostgreSQL's programs; as root it runs them as the user postgres.

#include "tests/support/service_process.hpp"
#include "tests/support/stored.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace phi::testing {

class postgres_server {
public:
  /// Starts an empty server. `settings`: lines for postgresql.conf. `at`: its directory, which is
  /// there and empty; none: one of its own.
  explicit postgres_server(const std::string& settings = "", const std::string& at = "");
  /// A standby that follows `primary`, on this port.
  postgres_server(const postgres_server& primary, uint16_t port);
  ~postgres_server(); ///< stops it
  postgres_server(const postgres_server&) = delete;

  uint16_t port() const { return port_; }
  std::string url() const { return url(port_); }
  static std::string url(uint16_t port);
  std::string directory() const { return data_; }

  void start();
  /// `mode`: fast or immediate.
  void stop(const std::string& mode = "fast");
  void promote();
  /// Adds lines to postgresql.conf and has the server read them.
  void set(const std::string& lines);

  /// The first column of the first row; throws what is wrong.
  std::string ask(const std::string& sql) const;
  int64_t number(const std::string& sql) const { return std::stoll(ask(sql)); }
  /// Ends all sessions of the service, as `kill -9` of their backends would, but for its
  /// postmaster.
  void kill_backends() const;

  /// Questions to this server, each in a session of its own.
  question asked() const;
  /// As for SQLite; and whether the batches' counts say the same.
  std::string count_mismatch() const;

private:
  void run(const std::vector<std::string>& args) const;
  void configure(const std::string& settings);

  temp_dir dir_;
  std::string data_;
  uint16_t port_;
  bool running_ = false;
};

/// A TCP port that nobody listens on now.
uint16_t free_port();

/// A session of the test's own, to hold locks and transactions.
class postgres_session {
public:
  explicit postgres_session(const std::string& url);
  ~postgres_session();
  postgres_session(const postgres_session&) = delete;
  /// The rows as texts.
  std::vector<std::vector<std::string>> run(const std::string& sql);

private:
  struct connection;
  std::unique_ptr<connection> connection_;
};

} // namespace phi::testing
