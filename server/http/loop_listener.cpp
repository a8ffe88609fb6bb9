#include "server/http/loop_listener.hpp"

#include "protocol/platform/descriptor.hpp"
#include "server/http/draining.hpp"
#include "server/platform/listener.hpp"

#include <restinio/all.hpp>

#include <algorithm>

namespace phi::http {
namespace {

struct loop_traits : restinio::default_single_thread_traits_t {
  using logger_t = restinio::null_logger_t;
  using timer_manager_t = restinio::null_timer_manager_t; // connection_link::check does it all
  using stream_socket_t = guarded_socket;
};

} // namespace

/// What RESTinio's own server does behind its acceptor, which stops for ever at the first failure.
class loop_listener::connection_maker {
public:
  connection_maker(asio_ns::io_context& on, handler_type handler) : io_(on) {
    restinio::server_settings_t<loop_traits> settings;
    settings.buffer_size(16 * 1024);
    settings.request_handler(std::move(handler));
    settings.ensure_valid_connection_state_listener();
    settings.ensure_valid_ip_blocker();
    auto timers = settings.timer_factory()->create(io_);
    auto set_options = settings.socket_options_setter();
    factory_ = std::make_unique<restinio::impl::connection_factory_t<loop_traits>>(
      std::make_shared<restinio::impl::connection_settings_t<loop_traits>>(
        std::move(settings),
        restinio::impl::create_parser_settings<loop_traits::http_methods_mapper_t>(), timers),
      std::move(set_options));
  }

  void make(taken_connection taken) {
    guarded_socket socket{io_};
    socket.lowest_layer().assign(taken.peer.protocol(), taken.fd.get());
    [[maybe_unused]] int now_owned = taken.fd.release();
    factory_->create_new_connection(std::move(socket), taken.peer, {&no_limiter_})->init();
  }

private:
  asio_ns::io_context& io_;
  /// The places are counted by the listener.
  restinio::connection_count_limits::noop_connection_count_limiter_t no_limiter_{
    nullptr, restinio::connection_count_limits::max_parallel_connections_t{0},
    restinio::connection_count_limits::max_active_accepts_t{0}};
  std::unique_ptr<restinio::impl::connection_factory_t<loop_traits>> factory_;
};

loop_listener::loop_listener(asio_ns::io_context& on, link_registry& links)
  : links_(links),
    io_(on) {}

loop_listener::~loop_listener() = default;

void loop_listener::open(std::vector<owned_fd> listeners, bool inherited, size_t places,
                         handler_type handler) {
  maker_ = std::make_unique<connection_maker>(io_, std::move(handler));
  inherited_ = inherited;
  places_ = places;
  for (auto& listener : listeners) {
    auto i = acceptors_.size();
    acceptors_.push_back(std::make_unique<acceptor>(
      io_,
      acceptor::owner{.name = "http",
                      .has_room = [this, i] { return has_room(*acceptors_[i]); },
                      .take = [this](taken_connection taken) { maker_->make(std::move(taken)); }}));
    acceptors_.back()->open(std::move(listener));
  }
}

/// Silent connections lock nobody out: who waits longest for a request goes, its place is taken as
/// soon as it has gone.
bool loop_listener::has_room(acceptor& for_those_of) {
  if (links_.count() < places_)
    return true;
  bool somebody_waits = static_cast<bool>(
    wait_until_ready(for_those_of.native_handle(), interest::input, std::chrono::milliseconds{0}));
  if (somebody_waits && end_longest_idle(links_, clock::now() - defaults::make_room_after))
    made_room_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void loop_listener::go_on() {
  for (auto& taker : acceptors_)
    taker->go_on();
}

/// All refuse before any takes: who is refused by one must not find another.
void loop_listener::refuse_new() {
  for (auto& taker : acceptors_)
    if (taker->is_open() && !inherited_)
      refuse_new_connections(taker->native_handle());
  for (auto& taker : acceptors_)
    if (inherited_)
      taker->close();
    else if (taker->is_open())
      taker->take_all();
}

bool loop_listener::close(bool at_any_rate) {
  for (auto& taker : acceptors_)
    if (!taker->is_open() || inherited_ || taker->take_all() || at_any_rate)
      taker->close();
  return !is_open();
}

bool loop_listener::is_open() const {
  return std::any_of(acceptors_.begin(), acceptors_.end(),
                     [](const auto& taker) { return taker->is_open(); });
}

accept_totals loop_listener::counts() const {
  accept_totals out{.open = !acceptors_.empty()};
  for (const auto& taker : acceptors_) {
    const auto& its = taker->counts();
    out.accepted += its.accepted;
    out.gone += its.gone;
    out.failed += its.failed;
    out.held_back += its.held_back;
    out.open = out.open && its.open;
    out.last_failure_at = std::max(out.last_failure_at, its.last_failure_at.load());
    int error = its.shortage;
    int64_t began = its.shortage_began;
    if (error != 0 && (out.shortage == 0 || began < out.shortage_began)) {
      out.shortage = error;
      out.shortage_began = began;
    }
  }
  return out;
}

} // namespace phi::http
