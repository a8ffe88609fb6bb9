#pragma once
/// The connections of one event loop, as RESTinio does not show them: which are idle, which are in
/// the middle of a request, how long already. RESTinio drives `guarded_socket` as its socket type;
/// everything here runs on the loop's thread.

#include "config/defaults.hpp"
#include "protocol/time.hpp"
#include "server/http/request_framing.hpp"

#include <restinio/asio_include.hpp>
#include <restinio/tls_fwd.hpp>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace phi::http {

namespace asio_ns = restinio::asio_ns;

struct link_limits {
  framing_limits framing;
  duration keepalive_timeout{};
  duration header_timeout{};
  duration body_timeout{};
  duration write_timeout{};
};

class link_registry;

/// One connection. Shared by RESTinio's connection, the operations under way, and the lingering.
class connection_link : public std::enable_shared_from_this<connection_link> {
public:
  using tcp_socket = asio_ns::ip::tcp::socket;

  template <class ContextOrExecutor>
  connection_link(ContextOrExecutor&& on, link_registry& registry);
  ~connection_link();

  /// As of asio's AsyncReadStream, but what RESTinio must not see is answered here, and an idle
  /// connection can be ended: both look like the end of the stream.
  template <class Buffer, class Handler>
  void async_read_some(const Buffer& buffer, Handler&& handler);

  template <class Buffers, class Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler);

  /// Answers `why` and ends the connection, as soon as no answer is being written.
  void refuse(error_code why);

  /// Ends a connection that waits for a request; not one whose next request has come meanwhile.
  void end();

  /// Ends it whatever it does.
  void cut();

  /// RESTinio closes: at once, or after lingering when the client may still be sending.
  void close();

  bool idle() const { return reading_ && framing_.now() == request_framing::stage::between; }
  bool receiving() const { return framing_.now() != request_framing::stage::between; }
  bool writing() const { return writing_; }
  bool lingers() const { return lingers_; }

  /// Since when it waits for a request, when idle().
  time_point idle_since() const { return since_; }
  /// Since when a request comes in, when receiving().
  time_point request_began() const { return request_began_; }
  /// When bytes have last come in or been taken, or an answer was begun.
  time_point last_moved() const { return last_moved_; }
  time_point writing_since() const { return writing_since_; }

  /// Whether the client has ended the connection, or its half of it. A client that only has nothing
  /// more to say looks the same; its answer comes all the same when it comes soon.
  bool client_gone() const;

  /// Ends or refuses it when a time-out is over.
  void check(time_point now, const link_limits& limits);

  /// Reads and drops what still comes, so that the answer is not lost in a reset.
  void linger();

  tcp_socket socket;

private:
  template <class Handler>
  void read_into(asio_ns::mutable_buffer into, std::shared_ptr<Handler> handler);
  bool has_unread() const;
  request_framing::verdict inspect(const char* data, size_t size);
  error_code refuses_early(std::string_view head);
  bool lets_body_come();
  void refuse(std::function<void()> then);

  link_registry& registry_;
  request_framing framing_;
  error_code refused_ = error_code::none;
  bool known_ = false; ///< in the registry
  bool reading_ = false;
  bool writing_ = false;
  bool end_wanted_ = false;
  bool cut_ = false;
  bool lingers_ = false;
  time_point since_{}; ///< of the current stage
  time_point writing_since_{};
  time_point request_began_{};
  time_point last_moved_{};
  size_t dropped_bytes_ = 0;
  std::array<char, 4096> drop_{};
  std::string answer_;       ///< being written, by us and not by RESTinio
  std::string early_answer_; ///< to a request whose body needs not come
  std::string head_in_wait_; ///< of one that waits for our word, behind one that is being answered
};

/// All links of one event loop; a service of its io_context, so that sockets find it.
class link_registry : public asio_ns::execution_context::service {
public:
  static asio_ns::execution_context::id id;

  explicit link_registry(asio_ns::execution_context& on) : service(on) {}
  /// Before the services that sockets belong to are destroyed: those that linger go now.
  void shutdown() override {
    on_open = on_change = {};
    auto gone = std::exchange(lingering_, {});
  }
  using service::context;

  link_limits limits;
  /// The whole HTTP text of an error answer.
  std::function<std::string(error_code, const connection_link&)> make_answer;
  struct early_answer {
    error_code why = error_code::none; ///< none: let the body come
    std::string text;                  ///< the whole HTTP text
  };
  /// Whether a request is refused for its head, the lines of which are given, before its client
  /// sends the body: asked where the client waits for our word.
  std::function<early_answer(std::string_view head, const connection_link&)> answer_early;
  std::function<void()> on_open;   ///< a connection has come
  std::function<void()> on_change; ///< a connection has gone

  /// Safe against connections that go meanwhile.
  void for_each(const std::function<void(connection_link&)>& visit);
  size_t count() const { return open_.size() + lingering_.size(); }
  size_t open_count() const { return open_.size(); }

  /// The connection whose bytes are being handled; null outside of that.
  const std::weak_ptr<connection_link>& current() const { return current_; }

private:
  friend class connection_link;

  void add(connection_link* link) {
    open_.insert(link);
    if (on_open)
      on_open();
  }

  std::weak_ptr<connection_link> current_;
  std::unordered_set<connection_link*> open_;
  std::unordered_set<std::shared_ptr<connection_link>> lingering_;
};

/// The socket type of RESTinio's traits. Movable: the acceptor moves it into the connection and
/// goes on with the moved-from object, which therefore holds a fresh link at once.
class guarded_socket {
public:
  using executor_type = restinio::default_asio_executor;

  explicit guarded_socket(asio_ns::io_context& on)
    : registry_(&asio_ns::use_service<link_registry>(on)),
      link_(std::make_shared<connection_link>(on, *registry_)) {}
  guarded_socket(guarded_socket&& other) noexcept
    : registry_(other.registry_),
      link_(std::move(other.link_)) {
    other.link_ = std::make_shared<connection_link>(link_->socket.get_executor(), *registry_);
  }
  guarded_socket& operator=(guarded_socket&& other) noexcept {
    std::swap(link_, other.link_);
    return *this;
  }
  ~guarded_socket() = default;

  auto& lowest_layer() { return link_->socket.lowest_layer(); }
  const auto& lowest_layer() const { return link_->socket.lowest_layer(); }
  auto get_executor() { return link_->socket.get_executor(); }
  auto remote_endpoint() const { return link_->socket.remote_endpoint(); }
  bool is_open() const { return !closed_ && link_->socket.is_open(); }
  template <class... Args>
  void cancel(Args&&... args) {
    link_->socket.cancel(std::forward<Args>(args)...);
  }
  template <class Buffer, class Handler>
  void async_read_some(const Buffer& buffer, Handler&& handler) {
    link_->async_read_some(buffer, std::forward<Handler>(handler));
  }
  template <class Buffers, class Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler) {
    link_->async_write_some(buffers, std::forward<Handler>(handler));
  }
  template <class... Args>
  void shutdown(Args&&...) {
    // `close` follows, and decides how.
  }
  template <class... Args>
  void close(Args&&...) {
    if (!std::exchange(closed_, true))
      link_->close();
  }

private:
  link_registry* registry_;
  std::shared_ptr<connection_link> link_;
  bool closed_ = false;
};

/// RESTinio finds these two by argument-dependent look-up.
template <class Connection, class Start, class Failed>
void prepare_connection_and_start_read(guarded_socket&, Connection&, Start start, Failed) {
  start();
}
inline restinio::tls_socket_t*
make_tls_socket_pointer_for_state_listener(guarded_socket&) noexcept {
  return nullptr;
}

// -- templates ----------------------------------------------------------------------------------

template <class ContextOrExecutor>
connection_link::connection_link(ContextOrExecutor&& on, link_registry& registry)
  : socket(on),
    registry_(registry),
    framing_(registry.limits.framing) {}

template <class Buffer, class Handler>
void connection_link::async_read_some(const Buffer& buffer, Handler&& handler) {
  if (!std::exchange(known_, true))
    registry_.add(this);
  if (framing_.now() == request_framing::stage::between)
    since_ = clock::now();
  // Shared, because refuse keeps its continuation in a copyable function.
  read_into(asio_ns::mutable_buffer{buffer},
            std::make_shared<std::decay_t<Handler>>(std::forward<Handler>(handler)));
}

template <class Handler>
void connection_link::read_into(asio_ns::mutable_buffer into, std::shared_ptr<Handler> handler) {
  auto eof = [handler] { (*handler)(asio_ns::error::make_error_code(asio_ns::error::eof), 0); };
  if (refused_ != error_code::none || !lets_body_come())
    return refuse(eof);
  reading_ = true;
  socket.async_read_some(into, [this, self = shared_from_this(), into, handler,
                                eof](const asio_ns::error_code& error, size_t size) {
    reading_ = false;
    if (cut_)
      return eof();
    if (refused_ != error_code::none)
      return refuse(eof);
    // A request that came with the end of the wait is answered like any other.
    bool ends = std::exchange(end_wanted_, false) && size == 0;
    if (ends && has_unread())
      return read_into(into, handler);
    if (ends)
      return eof();
    if (error)
      return (*handler)(error, size);
    auto verdict = inspect(static_cast<const char*>(into.data()), size);
    if (verdict.error != error_code::none) {
      refused_ = verdict.error;
      if (verdict.pass == 0)
        return refuse(eof);
    }
    registry_.current_ = weak_from_this();
    (*handler)(error, verdict.pass);
    registry_.current_.reset();
  });
}

template <class Buffers, class Handler>
void connection_link::async_write_some(const Buffers& buffers, Handler&& handler) {
  writing_ = true;
  writing_since_ = last_moved_ = clock::now();
  socket.async_write_some(buffers,
                          [self = shared_from_this(), handler = std::forward<Handler>(handler)](
                            const asio_ns::error_code& error, size_t size) mutable {
                            self->writing_ = false;
                            handler(error, size);
                          });
}

} // namespace phi::http
