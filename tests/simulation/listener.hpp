#pragma once
/// The public listener of one process, as the actors see server/http: connections, requests in
/// flight, a drain with its graces. It carries requests; it parses nothing.

#include "actors/current_actors.hpp"
#include "actors/ports/http_port.hpp"
#include "tests/simulation/observed.hpp"

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace phi::simulation {

/// The other end of a connection.
class client_end {
public:
  virtual ~client_end() = default;
  /// Its answer has come; null: it has none any more, the connection has ended.
  virtual void told(uint64_t connection, const ingest_outcome* outcome) = 0;
};

class listener : public http_port, public std::enable_shared_from_this<listener> {
public:
  /// What is seen of requests. All outlive it.
  struct seen_by {
    seen_world& world;
    const checker_list& checkers;
    ticket& last_ticket; ///< of the whole run
  };

  listener(seen_by seen, process_id owner, std::shared_ptr<current_actors> actors,
           config_ptr settings);

  // -- for clients --------------------------------------------------------------------------

  /// 0: nobody listens.
  uint64_t connect(client_end& client);
  void send(uint64_t connection, std::vector<event> events, uint32_t rejected);
  void ask(uint64_t connection);
  void begin_request(uint64_t connection); ///< and never end it
  void hang_up(uint64_t connection);
  /// The process is no more.
  void vanish();

  // -- for the actors -----------------------------------------------------------------------

  outcome open(std::function<void()> drained) override;
  void set_ready(bool) override {}
  void apply_settings(config_ptr settings) override { settings_ = std::move(settings); }
  void stop_accepting() override;
  void escalate() override;
  void cut() override;
  http_counts counts() const override;
  std::vector<loop_life> loops_alive() override { return {{.accepts = open_}}; }
  std::vector<waited> waits() const override;
  void release_handles() override { drained_ = {}; }
  std::vector<std::string> addresses() const override { return {"127.0.0.1:3939"}; }

private:
  class replies;
  struct connection {
    client_end* client = nullptr;
    ticket waits_for = 0; ///< 0: nothing
    bool question = false;
    gone_flag gone;
    bool half_sent = false;
    time_point since{};
  };

  seen_request& note(uint64_t at, bool question);
  void answer(ticket to, const ingest_outcome& outcome, bool by_us);
  void give_up_later(ticket to);
  void record_own();
  void end(uint64_t at);
  void end_idle(bool half_sent);
  void report_if_drained();

  seen_by seen_;
  process_id owner_;
  std::shared_ptr<current_actors> actors_;
  config_ptr settings_;
  std::shared_ptr<replies> replies_;
  std::map<uint64_t, connection> connections_;
  std::map<ticket, uint64_t> waiting_; ///< on which connection
  std::function<void()> drained_;
  uint64_t last_connection_ = 0;
  uint64_t answered_ = 0;
  uint64_t own_ = 0; ///< events about our own requests
  uint64_t refused_ = 0;
  bool open_ = false;
  bool stopping_ = false;
};

} // namespace phi::simulation
