#pragma once
/// Connections of the public listener as RESTinio drives them, on an io_context that the test turns
/// by hand, and their clients on loopback.

#include "server/http/connection_link.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace phi::testing {

namespace asio_ns = http::asio_ns;

/// One event loop without a thread.
struct turned_loop {
  asio_ns::io_context io{1};
  http::link_registry& links = asio_ns::use_service<http::link_registry>(io);

  turned_loop() {
    links.limits.framing = {1000, 1000, 10, 1000};
    links.make_answer = [](error_code, const http::connection_link&) { return std::string{"no"}; };
  }

  /// Whatever is ready, and nothing that must be waited for.
  void turn() {
    io.restart();
    while (io.poll() > 0) {
    }
  }
};

/// A link, and its client.
struct link_and_client {
  using tcp = asio_ns::ip::tcp;

  std::shared_ptr<http::connection_link> link;
  tcp::socket client;
  std::array<char, 4096> space{};
  std::optional<std::pair<asio_ns::error_code, size_t>> read;

  explicit link_and_client(turned_loop& on)
    : link(std::make_shared<http::connection_link>(on.io, on.links)),
      client(on.io) {
    tcp::acceptor listener{on.io, tcp::endpoint{asio_ns::ip::address_v4::loopback(), 0}};
    client.connect(listener.local_endpoint());
    listener.accept(link->socket);
  }

  void begin_read() {
    read.reset();
    link->async_read_some(asio_ns::buffer(space),
                          [this](const asio_ns::error_code& error, size_t size) {
                            read = {error, size};
                          });
  }

  void send(const std::string& text) { asio_ns::write(client, asio_ns::buffer(text)); }

  /// What has come to the client.
  std::string received() {
    std::string out(client.available(), '\0');
    if (!out.empty())
      client.read_some(asio_ns::buffer(out));
    return out;
  }

  std::string address() const {
    auto port = client.local_endpoint().port();
    return "127.0.0.1:" + std::to_string(port);
  }

  /// Whether it was ended.
  bool ended() const { return read && read->first == asio_ns::error::eof; }
};

/// A whole request.
inline const std::string get_request = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";

} // namespace phi::testing
