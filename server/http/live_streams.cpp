#include "server/http/live_streams.hpp"

#include "config/defaults.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/http/answers.hpp"

#include <nlohmann/json.hpp>
#include <restinio/all.hpp>

#include <algorithm>
#include <utility>

namespace phi::http {
namespace {

using json = nlohmann::ordered_json;

/// What the hub asks, as tickets.
constexpr ticket counters_wanted = 1;
constexpr ticket events_wanted = 2;

constexpr uint32_t page_events = 200;
constexpr uint64_t ticks_a_second =
  std::chrono::seconds{1} / std::chrono::milliseconds{defaults::live_interval};

std::string one_line(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace

std::string sent_event(std::string_view name, std::string_view data, int64_t id) {
  std::string out = "event: ";
  out.append(name).append("\n");
  if (id != 0)
    out += "id: " + std::to_string(id) + "\n";
  return out.append("data: ").append(data).append("\n\n");
}

/// Where the actors' answers come back; outlives no loop.
class live_streams::replies : public reply_sink {
public:
  replies(asio_ns::io_context& on, live_streams& owner) : on_(on), owner_(owner) {}
  void deliver(std::vector<ingest_answer>) noexcept override {}
  void deliver(ticket to, query_answer answer) noexcept override {
    asio_ns::post(on_, [this, to, answer = std::move(answer)] { owner_.take(to, answer); });
  }

private:
  asio_ns::io_context& on_;
  live_streams& owner_;
};

struct live_streams::client {
  restinio::response_builder_t<restinio::chunked_output_t> response;
  std::weak_ptr<connection_link> link;
  bool wants_events = false;
  bool joined = false;  ///< gets them
  bool writing = false; ///< has not taken what it was sent last
  std::string waiting;  ///< to be sent then; bounded
  uint64_t sent = 0;    ///< events that it was sent, or that wait
  uint64_t dropped = 0; ///< events that passed it by
  uint64_t untold = 0;  ///< of these: those that it was not told of

  bool has_room(size_t more) const { return waiting.size() + more <= defaults::live_client_bytes; }
};

live_streams::live_streams(asio_ns::io_context& on, std::shared_ptr<backend_port> backend,
                           size_t most)
  : backend_(std::move(backend)),
    most_(most),
    timer_(on),
    replies_(std::make_shared<replies>(on, *this)) {}

live_streams::~live_streams() = default;

void live_streams::open(const exchange& to, bool events) {
  auto added = std::make_shared<client>(
    client{.response = begin_stream(to), .link = to.link, .wants_events = events});
  clients_.push_back(added);
  send(added, ": phi-backend " PHI_VERSION "\n\n");
  ask_counters();
  if (behind_)
    join_waiting();
  else if (events)
    ask_events();
  arm();
}

void live_streams::arm() {
  if (stopped_ || clients_.empty() || std::exchange(armed_, true))
    return;
  timer_.expires_after(defaults::live_interval);
  timer_.async_wait([this](const asio_ns::error_code& error) {
    armed_ = false;
    if (!error)
      tick();
  });
}

void live_streams::tick() {
  if (++ticks_ % ticks_a_second == 0) {
    remove_gone();
    ask_counters();
    if (ticks_ % (defaults::live_heartbeat_secs * ticks_a_second) == 0)
      for (const auto& each : std::vector{clients_})
        if (!each->writing)
          send(each, ": alive\n\n"); // also where nobody counts
  }
  auto wants = [](const client_ptr& each) { return each->wants_events; };
  if (std::any_of(clients_.begin(), clients_.end(), wants))
    ask_events();
  else
    behind_.reset(); // who comes next gets what comes next
  arm();
}

void live_streams::ask_counters() {
  if (!std::exchange(counters_asked_, true))
    backend_->ask(std::make_shared<asked<health_query>>(health_query{},
                                                        query_reply{replies_, counters_wanted}));
}

void live_streams::ask_events() {
  if (stopped_ || std::exchange(events_asked_, true))
    return;
  recent_events_query query{.limit = behind_ ? page_events : 1, .after = behind_};
  query.over_gaps = clock::now() - went_on_ > gap_patience;
  backend_->ask(std::make_shared<asked<reader_query>>(reader_query{std::move(query)},
                                                      query_reply{replies_, events_wanted}));
}

/// What could not be answered is asked again with the next tick.
void live_streams::take(ticket to, const query_answer& answer) {
  (to == counters_wanted ? counters_asked_ : events_asked_) = false;
  if (stopped_ || answer.error != error_code::none)
    return;
  try {
    to == counters_wanted ? take_counters(answer.body) : take_events(answer.body);
  } catch (const json::exception&) {
    // Not what we had asked for.
  }
}

void live_streams::take_counters(const std::string& health) {
  auto all = json::parse(health);
  json told{{"at", format_rfc3339(wall_clock_us())}, {"status", all.at("status")}};
  if (all.contains("ledger"))
    told.update(all["ledger"]);
  auto text = sent_event("counters", one_line(told));
  for (const auto& each : std::vector{clients_}) // a client may go in it
    if (each->waiting.empty())
      send(each, text);
}

void live_streams::take_events(const std::string& page) {
  auto all = json::parse(page);
  auto last = all.at("last").get<int64_t>();
  if (!behind_) {
    behind_ = last;
    went_on_ = clock::now();
    return join_waiting();
  }
  std::string text;
  uint64_t count = 0;
  for (const auto& event : all.at("events")) {
    text += sent_event("event", one_line(event), event.at("seq").get<int64_t>());
    ++count;
  }
  if (last > *behind_ || !all.value("held", false))
    went_on_ = clock::now();
  behind_ = std::max(*behind_, last);
  for (const auto& each : std::vector{clients_}) {
    if (!each->joined || count == 0)
      continue;
    bool fits = !each->writing || each->has_room(text.size());
    (fits ? each->sent : each->dropped) += count;
    if (fits)
      send(each, text);
    else
      each->untold += count;
  }
  join_waiting();
  if (count == page_events)
    ask_events();
}

/// Who has come since the last page gets all that comes behind it.
void live_streams::join_waiting() {
  for (const auto& each : std::vector{clients_})
    if (each->wants_events && !each->joined) {
      each->joined = true;
      send(each, sent_event("begin", one_line({{"after", *behind_}})));
    }
}

void live_streams::remove_gone() {
  for (const auto& each : std::vector{clients_})
    if (auto link = each->link.lock(); !link || link->client_gone())
      remove(each);
}

/// Behind all that waits. Of what has passed it by meanwhile it is told first.
void live_streams::send(const client_ptr& to, std::string_view text) {
  if (auto untold = std::exchange(to->untold, 0); untold > 0)
    to->waiting += sent_event("dropped", one_line({{"events", untold}}));
  to->waiting += text;
  if (!to->writing)
    write(to);
}

void live_streams::write(const client_ptr& to) {
  to->writing = true;
  to->response.append_chunk(std::exchange(to->waiting, {}));
  to->response.flush([this, weak = std::weak_ptr{to}](const asio_ns::error_code& error) {
    auto each = weak.lock();
    if (!each || stopped_)
      return;
    each->writing = false;
    if (error)
      remove(each);
    else if (!each->waiting.empty())
      write(each);
    else if (each->untold > 0)
      send(each, "");
  });
}

void live_streams::remove(const client_ptr& gone) {
  if (auto link = gone->link.lock())
    link->cut();
  std::erase(clients_, gone);
}

void live_streams::stop() {
  if (std::exchange(stopped_, true))
    return;
  timer_.cancel();
  for (const auto& each : std::exchange(clients_, {})) {
    auto link = each->link.lock();
    if (link && link->writing() && clock::now() - link->writing_since() > defaults::live_farewell) {
      link->cut(); // it reads nothing
      continue;
    }
    if (each->untold > 0)
      each->waiting += sent_event("dropped", one_line({{"events", each->untold}}));
    each->waiting +=
      sent_event("stopping", one_line({{"events", each->sent}, {"dropped", each->dropped}}));
    each->response.append_chunk(std::move(each->waiting));
    each->response.done();
    ending_.push_back(each->link);
  }
  timer_.expires_after(defaults::live_farewell);
  timer_.async_wait([this](const asio_ns::error_code& error) {
    if (error)
      return;
    for (const auto& each : std::exchange(ending_, {}))
      if (auto link = each.lock())
        link->cut();
  });
}

} // namespace phi::http
