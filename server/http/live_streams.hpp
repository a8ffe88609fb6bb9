#pragma once
/// GET /stats/live: server-sent events to the clients of one event loop that wait for them. On the
/// loop's thread.

#include "actors/ports/http_port.hpp"
#include "server/http/connection_link.hpp"
#include "server/http/exchanges.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace phi::http {

/// One server-sent event (HTML Living Standard, section 9.2). `data`: one line; `id`: 0: none.
std::string sent_event(std::string_view name, std::string_view data, int64_t id = 0);

/// While a client has not taken what it was sent, little is kept for it: beyond that events pass it
/// by, and it is told how many.
class live_streams {
public:
  /// `most`: clients at a time.
  live_streams(asio_ns::io_context& on, std::shared_ptr<backend_port> backend, size_t most);
  ~live_streams();
  live_streams(const live_streams&) = delete;

  bool full() const { return clients_.size() >= most_; }
  size_t count() const { return clients_.size(); }

  /// The request of `to` is answered from now on, until its client goes or a stop begins: counters
  /// each second, and with `events` each event from about now on. Never inside RESTinio's request
  /// handler.
  void open(const exchange& to, bool events);

  /// A stop begins: each client is told so, as the last thing, and who does not take it soon is
  /// cut.
  void stop();

private:
  class replies;
  struct client;
  using client_ptr = std::shared_ptr<client>;

  void tick();
  void arm();
  void ask_counters();
  void ask_events();
  void take(ticket to, const query_answer& answer);
  void take_counters(const std::string& health);
  void take_events(const std::string& page);
  void join_waiting();
  void remove_gone();
  void send(const client_ptr& to, std::string_view text);
  void write(const client_ptr& to);
  void remove(const client_ptr& gone);

  std::shared_ptr<backend_port> backend_;
  size_t most_;
  asio_ns::steady_timer timer_;
  std::shared_ptr<replies> replies_;
  std::vector<client_ptr> clients_;
  std::vector<std::weak_ptr<connection_link>> ending_; ///< told of the stop
  uint64_t ticks_ = 0;
  bool armed_ = false;
  bool stopped_ = false;
  bool counters_asked_ = false;
  bool events_asked_ = false;
  std::optional<int64_t> behind_; ///< the number of the last event that was looked at
  time_point went_on_{};          ///< when no number before the next event was missing
};

} // namespace phi::http
