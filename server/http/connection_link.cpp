#include "server/http/connection_link.hpp"

#include "protocol/platform/sockets.hpp"

#include <vector>

namespace phi::http {

asio_ns::execution_context::id link_registry::id;

connection_link::~connection_link() {
  if (known_ && registry_.open_.erase(this) > 0 && registry_.on_change)
    registry_.on_change();
}

request_framing::verdict connection_link::inspect(const char* data, size_t size) {
  auto before = framing_.now();
  auto verdict = framing_.feed(data, size);
  last_moved_ = clock::now();
  if (framing_.now() != before)
    since_ = last_moved_;
  if (before == request_framing::stage::between)
    request_began_ = last_moved_;
  if (!verdict.wants_continue)
    return verdict;
  if (verdict.behind_another) {
    head_in_wait_ = std::move(verdict.head);
    return verdict;
  }
  verdict.error = refuses_early(verdict.head);
  if (verdict.error != error_code::none)
    verdict.pass = 0; // the head is the last there is of this connection for RESTinio
  return verdict;
}

/// What is wrong with a request whose client waits for our word; else it is told to go on.
error_code connection_link::refuses_early(std::string_view head) {
  if (registry_.answer_early) {
    auto [why, text] = registry_.answer_early(head, *this);
    early_answer_ = std::move(text);
    if (why != error_code::none)
      return why;
  }
  // No answer is under way while a request is being read, so this cannot interleave.
  [[maybe_unused]] auto sent = send_now(socket.native_handle(), "HTTP/1.1 100 Continue\r\n\r\n");
  return error_code::none;
}

/// RESTinio reads on: what came before is answered, and who waits behind it gets our word now.
bool connection_link::lets_body_come() {
  if (head_in_wait_.empty())
    return true;
  since_ = clock::now(); // the client's time begins with our word
  refused_ = refuses_early(std::exchange(head_in_wait_, {}));
  return refused_ == error_code::none;
}

void connection_link::refuse(std::function<void()> then) {
  answer_ = early_answer_.empty() ? registry_.make_answer(refused_, *this)
                                  : std::exchange(early_answer_, {});
  lingers_ = true;
  writing_ = true;
  writing_since_ = last_moved_ = clock::now();
  asio_ns::async_write(
    socket, asio_ns::buffer(answer_),
    [self = shared_from_this(), then = std::move(then)](const asio_ns::error_code&, size_t) {
      self->writing_ = false;
      then();
    });
}

void connection_link::refuse(error_code why) {
  if (refused_ != error_code::none)
    return;
  refused_ = why;
  if (reading_)
    socket.cancel();
}

bool connection_link::has_unread() const {
  asio_ns::error_code ignored;
  return socket.is_open() && socket.available(ignored) > 0;
}

void connection_link::end() {
  if (!reading_)
    return;
  end_wanted_ = true; // if nothing has come, see read_into
  socket.cancel();
}

void connection_link::cut() {
  cut_ = true;
  asio_ns::error_code ignored;
  socket.shutdown(tcp_socket::shutdown_both, ignored);
}

bool connection_link::client_gone() const {
  if (!socket.is_open())
    return true;
  auto& native = const_cast<tcp_socket&>(socket);
  auto seen = wait_until_ready(native.native_handle(), interest::end, std::chrono::milliseconds{0});
  return seen.ended || seen.broken;
}

void connection_link::close() {
  bool sends_on = socket.is_open() && (lingers_ || receiving() || has_unread());
  asio_ns::error_code ignored;
  if (!sends_on) {
    socket.shutdown(tcp_socket::shutdown_both, ignored);
    socket.close(ignored);
  } else {
    socket.shutdown(tcp_socket::shutdown_send, ignored);
    since_ = last_moved_ = clock::now();
    lingers_ = true;
    registry_.lingering_.insert(shared_from_this());
    linger();
  }
  if (registry_.open_.erase(this) > 0 && registry_.on_change)
    registry_.on_change();
}

void connection_link::linger() {
  socket.async_read_some(asio_ns::buffer(drop_), [this, self = shared_from_this()](
                                                   const asio_ns::error_code& error, size_t size) {
    dropped_bytes_ += size;
    if (!error && dropped_bytes_ < defaults::linger_max_bytes)
      return linger();
    asio_ns::error_code ignored;
    socket.close(ignored);
    if (registry_.lingering_.erase(self) > 0 && registry_.on_change)
      registry_.on_change();
  });
}

void connection_link::check(time_point now, const link_limits& limits) {
  if (registry_.lingering_.contains(shared_from_this())) {
    if (now - since_ > defaults::linger_limit)
      cut();
    return;
  }
  if (writing_ && now - writing_since_ > limits.write_timeout)
    return cut();
  if (!reading_)
    return;
  switch (framing_.now()) {
    case request_framing::stage::between:
      if (now - since_ > limits.keepalive_timeout)
        end();
      break;
    case request_framing::stage::header:
      if (now - since_ > limits.header_timeout)
        refuse(error_code::request_timeout);
      break;
    case request_framing::stage::body:
      if (now - since_ > limits.body_timeout)
        refuse(error_code::request_timeout);
      break;
  }
}

void link_registry::for_each(const std::function<void(connection_link&)>& visit) {
  std::vector<std::shared_ptr<connection_link>> all(lingering_.begin(), lingering_.end());
  for (auto* link : open_)
    all.push_back(link->shared_from_this());
  for (const auto& link : all)
    visit(*link);
}

} // namespace phi::http
