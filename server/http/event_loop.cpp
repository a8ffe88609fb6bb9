#include "server/http/event_loop.hpp"

#include "actors/log.hpp"
#include "protocol/fault_point.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/api/problem.hpp"
#include "server/http/access.hpp"
#include "server/http/access_log.hpp"
#include "server/http/answers.hpp"
#include "server/http/connection_link.hpp"
#include "server/http/draining.hpp"
#include "server/http/exchanges.hpp"
#include "server/http/holders.hpp"
#include "server/http/limits.hpp"
#include "server/http/live_streams.hpp"
#include "server/http/loop_counts.hpp"
#include "server/http/loop_listener.hpp"
#include "server/http/own_requests.hpp"
#include "server/http/request_handler.hpp"
#include "server/http/request_head.hpp"
#include "server/platform/digest.hpp"
#include "server/platform/listener.hpp"
#include "server/platform/listener_probe.hpp"

#include <restinio/all.hpp>

#include <cstring>
#include <future>
#include <optional>
#include <thread>

namespace phi::http {
namespace {

using restinio::request_handle_t;

class loop;

/// The sink that actors answer to. It outlives no loop: the actor system comes down first.
class loop_replies : public reply_sink {
public:
  explicit loop_replies(loop& owner) : owner_(owner) {}
  void deliver(std::vector<ingest_answer> answers) noexcept override;
  void deliver(ticket to, query_answer answer) noexcept override;

private:
  loop& owner_;
};

class loop : public event_loop {
public:
  explicit loop(std::shared_ptr<loop_shared> shared)
    : shared_(std::move(shared)),
      settings_(shared_->settings),
      links_(asio_ns::use_service<link_registry>(io_)),
      listener_(io_, links_),
      drain_(io_, links_, listener_),
      sweep_(io_),
      replies_(std::make_shared<loop_replies>(*this)),
      handler_(*shared_, settings_),
      live_(io_, shared_->backend, std::max<size_t>(1, defaults::live_clients / shared_->loops)),
      exchanges_(random_bits()),
      own_requests_(settings_, shared_->salt) {
    links_.limits = limits_of(settings_);
    links_.make_answer = [this](error_code why, const connection_link& link) {
      return refusal(why, link);
    };
    links_.answer_early = [this](std::string_view head, const connection_link& link) {
      return early_refusal(head, link);
    };
    links_.on_open = [this] {
      if (!sweep_armed_)
        arm_sweep();
    };
    links_.on_change = [this] {
      listener_.go_on();
      report_if_drained();
    };
  }

  ~loop() override {
    if (thread_.joinable()) {
      io_.stop();
      thread_.join();
    }
    links_.shutdown(); // the connections go with the members below, and must not call back
  }

  outcome start(std::vector<owned_fd> listeners, bool inherited) override {
    std::promise<outcome> opened;
    auto result = opened.get_future();
    thread_ = std::thread([this, &opened, listeners = std::move(listeners), inherited]() mutable {
      opened.set_value(open(std::move(listeners), inherited));
      auto work = asio_ns::make_work_guard(io_);
      io_.run();
    });
    return result.get();
  }

  void apply_settings(config_ptr next) override {
    asio_ns::post(io_, [this, next = std::move(next)] {
      settings_ = *next;
      links_.limits = limits_of(settings_);
      handler_.apply_settings();
      own_requests_.apply_settings();
    });
  }

  void stop_accepting(std::function<void()> drained) override {
    asio_ns::post(io_, [this, drained = std::move(drained)]() mutable {
      on_drained_ = std::move(drained);
      live_.stop();
      const auto& server = settings_.server;
      drain_.begin({std::chrono::milliseconds{server.keepalive_grace_ms},
                    std::chrono::milliseconds{server.partial_grace_ms}},
                   [this] { report_if_drained(); });
      holders_.begin(clock::now());
    });
  }

  void escalate() override {
    asio_ns::post(io_, [this] { end_what_can_end(); });
  }

  void cut() override {
    asio_ns::post(io_, [this] { cut_everything(); });
  }

  std::vector<waited> waits() const override { return holders_.tell(clock::now()); }

  http_counts counts() const override {
    http_counts out;
    counts_.tell(out);
    auto accepts = listener_.counts();
    out.accepted = accepts.accepted - counts_.probes;
    out.reset_before_accept = accepts.gone;
    out.failed_accepts = accepts.failed;
    out.held_back = accepts.held_back;
    out.made_room = listener_.made_room();
    return out;
  }

  loop_life life() override {
    auto now = clock::now();
    auto since = [now](int64_t ticks) { return now - time_point{duration{ticks}}; };
    auto accepts = listener_.counts();
    loop_life out{.accepts = accepts.open};
    if (int error = accepts.shortage; error != 0) {
      out.shortage = std::strerror(error);
      out.shortage_for = since(accepts.shortage_began);
    }
    if (int64_t at = accepts.last_failure_at; at != 0)
      out.last_failed_accept = since(at);
    int64_t posted_at = 0;
    if (beat_posted_at_.compare_exchange_strong(posted_at, now.time_since_epoch().count()))
      asio_ns::post(io_, [this] {
        fault_point("http.loop");
        beat_posted_at_ = 0;
      });
    else
      out.silent_for = since(posted_at);
    return out;
  }

  void deliver(std::vector<ingest_answer> answers) {
    asio_ns::post(io_, [this, answers = std::move(answers)] {
      for (const auto& [to, outcome] : answers)
        answer_ingest(to, outcome);
    });
  }

  void deliver(ticket to, query_answer answer) {
    asio_ns::post(io_, [this, to, answer = std::move(answer)] { answer_question(to, answer); });
  }

private:
  // -- the listener ------------------------------------------------------------------------------

  outcome open(std::vector<owned_fd> listeners, bool inherited) {
    auto places = std::max<int64_t>(1, shared_->places / static_cast<int64_t>(shared_->loops));
    try {
      listener_.open(std::move(listeners), inherited, static_cast<size_t>(places),
                     [this](request_handle_t request) { return take(std::move(request)); });
      return {};
    } catch (const std::exception& e) {
      return outcome::failure(e.what());
    }
  }

  // -- a request comes in -----------------------------------------------------------------------

  restinio::request_handling_status_t take(request_handle_t request) {
    auto& pending = exchanges_.add(std::move(request), wall_clock_us());
    pending.link = links_.current();
    pending.is_probe = field_of(pending.request->header(), "X-Phi-Probe") == probe_sign();
    counts_.probes += pending.is_probe;
    counts_.in_flight.store(exchanges_.size(), std::memory_order_relaxed);
    counts_.connections.store(links_.open_count(), std::memory_order_relaxed);
    drain_.request_came();
    try {
      auto fields = fields_of(pending.request);
      if (auto link = pending.link.lock())
        pending.loopback_port = port_if_rebound(fields.host, *link);
      if (limits_addresses())
        pending.client = own_requests_.client(pending);
      execute(pending, handler_.decide(fields, pending, drain_.begun()));
    } catch (const std::exception& e) {
      log_error("http", "fails at a request", {{"id", pending.request_id}, {"cause", e.what()}});
      answer_later(pending, problem_answer(pending, error_code::internal));
    }
    return restinio::request_accepted();
  }

  void execute(exchange& pending, decision decided) {
    if (decided.events)
      turn().requests.push_back(std::move(*decided.events));
    if (decided.reply)
      return answer_later(pending, std::move(*decided.reply));
    if (auto* query = std::get_if<stream_query>(&decided.question)) {
      streams_.emplace_back(pending.to, query->events);
      end_turn_soon();
    }
    if (auto* query = std::get_if<reader_query>(&decided.question))
      shared_->backend->ask(asked_by(pending, std::move(*query)));
    if (auto* query = std::get_if<health_query>(&decided.question))
      shared_->backend->ask(asked_by(pending, *query));
    if (auto* query = std::get_if<service_query>(&decided.question))
      shared_->backend->ask(asked_by(pending, std::move(*query)));
  }

  template <class Question>
  asked_ptr<Question> asked_by(exchange& pending, Question question) {
    pending.gone = std::make_shared<std::atomic<bool>>(false);
    return std::make_shared<asked<Question>>(std::move(question), query_reply{replies_, pending.to},
                                             pending.gone);
  }

  // -- the actors answer ------------------------------------------------------------------------

  void answer_ingest(ticket to, const ingest_outcome& outcome) {
    auto* pending = exchanges_.find(to);
    if (!pending)
      return;
    if (outcome.error != error_code::none)
      return respond(*pending,
                     problem_answer(*pending, outcome.error, {}, {}, outcome.retry_after_s));
    if (outcome.refused.empty() || outcome.stored + outcome.duplicates > 0)
      return respond(*pending, {.status = api::http_status(outcome),
                                .body = api::ingest_json(outcome, pending->rejected)});
    auto refused = api::with_refused(std::move(pending->rejected), outcome.refused);
    respond(*pending,
            problem_answer(*pending,
                           pending->atomic ? error_code::atomic_refused : error_code::nothing_valid,
                           {}, refused));
  }

  void answer_question(ticket to, const query_answer& answer) {
    auto* pending = exchanges_.find(to);
    if (!pending)
      return;
    if (answer.error != error_code::none)
      return respond(*pending, problem_answer(*pending, answer.error, answer.detail));
    respond(*pending, answer_to_question(*pending, answer.body));
  }

  // -- the end of a turn ------------------------------------------------------------------------

  /// What this turn of the loop has taken in; handed on in one message when the turn is over.
  ingest_turn& turn() {
    if (!turn_) {
      turn_ = std::make_shared<ingest_turn>(replies_);
      end_turn_soon();
    }
    return *turn_;
  }

  void end_turn_soon() {
    if (!std::exchange(turn_ends_, true))
      asio_ns::post(io_, [this] { end_turn(); });
  }

  void end_turn() {
    turn_ends_ = false;
    // Never answered inside the request handler: RESTinio would read on before the answer is out.
    for (auto& [to, reply] : std::exchange(later_, {}))
      if (auto* pending = exchanges_.find(to))
        respond(*pending, std::move(reply));
    for (auto [to, events] : std::exchange(streams_, {}))
      if (auto* pending = exchanges_.find(to))
        open_stream(*pending, events);
    if (!own_requests_.empty())
      turn().requests.push_back(own_requests_.take());
    if (turn_)
      shared_->backend->submit(std::exchange(turn_, nullptr));
    report_if_drained();
  }

  void answer_later(exchange& pending, answer reply) {
    later_.emplace_back(pending.to, std::move(reply));
    end_turn_soon();
  }

  // -- an answer goes out -----------------------------------------------------------------------

  void respond(exchange& pending, answer reply) {
    auto status = reply.status;
    auto bytes = pending.head ? 0 : reply.body.size();
    write_answer(pending, std::move(reply), drain_.begun());
    settle(pending, status, bytes);
  }

  void open_stream(exchange& pending, bool events) {
    if (drain_.begun())
      return respond(pending, problem_answer(pending, error_code::stopping));
    if (live_.full())
      return respond(pending, problem_answer(pending, error_code::too_many_streams));
    live_.open(pending, events);
    settle(pending, 200, 0);
  }

  /// It is answered.
  void settle(exchange& pending, int status, size_t bytes) {
    if (wants_requests(settings_) && !pending.is_probe)
      log_request(settings_, pending.request->header().method().c_str(), pending, status, bytes,
                  own_requests_.client(pending));
    if (!pending.is_probe) {
      counts_.answered(status);
      counts_.answered_after(kind_of(pending), clock::now() - pending.began);
    }
    if (own_requests_.record(pending, status))
      end_turn_soon();
    exchanges_.remove(pending.to);
    counts_.in_flight.store(exchanges_.size(), std::memory_order_relaxed);
    if (drain_.begun())
      end_turn_soon(); // it may have been the last, and its connection gone before
  }

  static request_kind kind_of(const exchange& pending) {
    return pending.route ? http::kind_of(pending.route->serves->kind) : request_kind::other;
  }

  /// A whole answer for a request that RESTinio never sees.
  std::string refusal(error_code why, const connection_link& link) {
    counts_.answered(facts(why).http_status);
    exchange nobody{.request_id = exchanges_.next_request_id()};
    if (wants_requests(settings_))
      log_refusal(settings_, why, link, nobody.request_id);
    return answer_text(nobody, problem_answer(nobody, why, describe_limit(why, settings_)));
  }

  /// The same for a request whose client waits before it sends the body.
  link_registry::early_answer early_refusal(std::string_view head, const connection_link& link) {
    auto [fields, request_id, forwarded_for] = read_head(head);
    exchange asked{
      .wall_us = wall_clock_us(), .began = link.request_began(), .decided = clock::now()};
    asked.loopback_port = port_if_rebound(fields.host, link);
    asked.request_id = exchange_table::acceptable(request_id) ? std::string{request_id}
                                                              : exchanges_.next_request_id();
    if (limits_addresses())
      asked.client = own_requests_.client(peer_of(link), forwarded_for);
    auto refused = handler_.refuse_early(fields, asked);
    if (!refused || refused->code == error_code::none)
      return {}; // answered once its body is here
    counts_.answered(refused->status);
    auto client = own_requests_.client(peer_of(link), forwarded_for);
    if (wants_requests(settings_))
      log_request(settings_, fields.method, asked, refused->status,
                  asked.head ? 0 : refused->body.size(), client.empty() ? "gone" : client);
    if (own_requests_.record(asked, refused->status, client))
      end_turn_soon();
    return {refused->code, answer_text(asked, *refused)};
  }

  bool limits_addresses() const { return settings_.server.rate_limit.per_address > 0; }

  /// See exchange::loopback_port.
  uint16_t port_if_rebound(std::string_view host, const connection_link& link) const {
    if (!is_name_of_strangers(host, settings_))
      return 0;
    asio_ns::error_code gone;
    auto peer = link.socket.remote_endpoint(gone).address();
    auto here = link.socket.local_endpoint(gone);
    return !gone && peer.is_loopback() ? here.port() : uint16_t{0};
  }

  // -- time -------------------------------------------------------------------------------------

  void arm_sweep() {
    sweep_armed_ = true;
    sweep_.expires_after(defaults::connection_sweep_interval);
    sweep_.async_wait([this](const asio_ns::error_code& error) {
      sweep_armed_ = false;
      if (error)
        return;
      sweep();
      if (links_.count() > 0 || exchanges_.size() > 0)
        arm_sweep();
    });
  }

  void sweep() {
    auto now = clock::now();
    links_.for_each([&](connection_link& link) { link.check(now, links_.limits); });
    for (auto to : exchanges_.older_than(now))
      if (auto* pending = exchanges_.find(to); pending && pending->gone)
        if (auto link = pending->link.lock(); link && link->client_gone())
          pending->gone->store(true); // nothing more is done for it
    auto limit = std::chrono::milliseconds{settings_.server.request_timeout_ms};
    for (auto to : exchanges_.older_than(now - limit))
      give_up(to, error_code::query_timeout);
    holders_.inspect(exchanges_, links_, now, true);
    counts_.connections.store(links_.open_count(), std::memory_order_relaxed);
    listener_.go_on();
  }

  /// Nobody answers in time. Whether its events were stored is not known here.
  void give_up(ticket to, error_code why) {
    if (auto* pending = exchanges_.find(to))
      respond(*pending, pending->is_ingest() ? problem_answer(*pending, error_code::outcome_unknown,
                                                              "send them again with the same ids")
                                             : problem_answer(*pending, why));
  }

  // -- stopping ---------------------------------------------------------------------------------

  void end_what_can_end() {
    for (auto to : exchanges_.older_than(clock::now()))
      if (auto* pending = exchanges_.find(to); pending && !pending->is_ingest())
        give_up(to, error_code::stopping);
    drain_.escalate();
  }

  void cut_everything() {
    for (auto to : exchanges_.older_than(clock::now()))
      give_up(to, error_code::stopping);
    cut_all(links_);
  }

  void report_if_drained() {
    counts_.connections.store(links_.open_count(), std::memory_order_relaxed);
    holders_.inspect(exchanges_, links_, clock::now(), links_.count() < 10);
    if (!drain_.begun() || listener_.is_open() || links_.count() > 0 || exchanges_.size() > 0
        || turn_ || !own_requests_.empty())
      return;
    if (auto tell = std::exchange(on_drained_, {}))
      tell();
  }

  std::shared_ptr<loop_shared> shared_;
  config settings_; ///< changed on the loop's thread only
  asio_ns::io_context io_{1};
  link_registry& links_;
  loop_listener listener_;
  drain drain_;
  asio_ns::steady_timer sweep_;
  std::shared_ptr<loop_replies> replies_;
  request_handler handler_;
  live_streams live_;
  exchange_table exchanges_;
  std::thread thread_;

  ingest_turn_ptr turn_;
  bool turn_ends_ = false;
  std::vector<std::pair<ticket, answer>> later_;
  std::vector<std::pair<ticket, bool>> streams_; ///< to begin, and whether with events
  own_requests own_requests_;
  bool sweep_armed_ = false;
  holders holders_;
  std::function<void()> on_drained_;

  loop_counts counts_;
  std::atomic<int64_t> beat_posted_at_{0}; ///< ticks of `clock`; 0: none is under way
};

void loop_replies::deliver(std::vector<ingest_answer> answers) noexcept {
  owner_.deliver(std::move(answers));
}

void loop_replies::deliver(ticket to, query_answer answer) noexcept {
  owner_.deliver(to, std::move(answer));
}

} // namespace

std::unique_ptr<event_loop> make_event_loop(std::shared_ptr<loop_shared> shared) {
  return std::make_unique<loop>(std::move(shared));
}

} // namespace phi::http
