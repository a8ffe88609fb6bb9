#include "server/http/loop_listener.hpp"

#include "server/http/draining.hpp"
#include "server/platform/listener.hpp"

#include <restinio/all.hpp>

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
    acceptor_(on, {.name = "http",
                   .has_room = [this] { return has_room(); },
                   .take = [this](taken_connection taken) { maker_->make(std::move(taken)); }}) {}

loop_listener::~loop_listener() = default;

void loop_listener::open(owned_fd listener, bool inherited, size_t places, handler_type handler) {
  auto& on = static_cast<asio_ns::io_context&>(links_.context());
  maker_ = std::make_unique<connection_maker>(on, std::move(handler));
  inherited_ = inherited;
  places_ = places;
  acceptor_.open(std::move(listener));
}

/// Silent connections lock nobody out: who waits longest for a request goes, its place is taken as
/// soon as it has gone.
bool loop_listener::has_room() {
  if (links_.count() < places_)
    return true;
  if (end_longest_idle(links_, clock::now() - defaults::make_room_after))
    made_room_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void loop_listener::refuse_new() {
  if (!is_open())
    return;
  if (inherited_)
    return acceptor_.close();
  refuse_new_connections(acceptor_.native_handle());
  acceptor_.take_all();
}

bool loop_listener::close(bool at_any_rate) {
  if (is_open() && !inherited_ && !acceptor_.take_all() && !at_any_rate)
    return false;
  acceptor_.close();
  return true;
}

} // namespace phi::http
