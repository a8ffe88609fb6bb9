// A connection of the public listener, on an io_context of its own that the test turns by hand.

#include "server/http/connection_link.hpp"
#include "tests/support/doctest.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

using namespace phi;
using namespace phi::http;

namespace {

/// A link as RESTinio drives it, and its client.
struct connected_pair {
  asio_ns::io_context io{1};
  link_registry& links = asio_ns::use_service<link_registry>(io);
  std::shared_ptr<connection_link> link;
  asio_ns::ip::tcp::socket client{io};
  std::array<char, 4096> space{};
  std::optional<std::pair<asio_ns::error_code, size_t>> read;

  connected_pair() {
    links.limits.framing = {1000, 1000, 10, 1000};
    links.make_answer = [](error_code, const connection_link&) { return std::string{"no"}; };
    link = std::make_shared<connection_link>(io, links);
    using asio_ns::ip::tcp;
    tcp::acceptor listener{io, tcp::endpoint{asio_ns::ip::address_v4::loopback(), 0}};
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

  /// Whatever is ready, and nothing that must be waited for.
  void turn() {
    io.restart();
    while (io.poll() > 0) {
    }
  }
};

const std::string request = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";

} // namespace

TEST_CASE("connection: one that waits is ended; a request that came meanwhile is read first") {
  connected_pair pair;
  pair.begin_read();
  pair.turn();
  CHECK_FALSE(pair.read);
  CHECK(pair.link->idle());
  pair.link->end();
  pair.turn();
  REQUIRE(pair.read);
  CHECK(pair.read->first == asio_ns::error::eof);

  connected_pair late;
  late.begin_read();
  late.turn();
  asio_ns::write(late.client, asio_ns::buffer(request));
  late.link->end(); // the loop does not know yet what lies there
  late.turn();
  REQUIRE(late.read);
  CHECK_FALSE(late.read->first);
  CHECK(late.read->second == request.size());
  late.begin_read(); // it is not ended behind the request either: that is the answer's business
  late.turn();
  CHECK_FALSE(late.read);
}

TEST_CASE("connection: one that is cut is gone, whatever lies there") {
  connected_pair pair;
  pair.begin_read();
  pair.turn();
  asio_ns::write(pair.client, asio_ns::buffer(request));
  pair.link->cut();
  pair.turn();
  REQUIRE(pair.read);
  CHECK(pair.read->first == asio_ns::error::eof);
}

TEST_CASE("connection: links know what they do, and tell when they are gone") {
  connected_pair pair;
  int opened = 0;
  int changed = 0;
  pair.links.on_open = [&] { ++opened; };
  pair.links.on_change = [&] { ++changed; };
  pair.begin_read();
  pair.turn();
  CHECK(opened == 1);
  CHECK(pair.links.count() == 1);
  asio_ns::write(pair.client, asio_ns::buffer(request.substr(0, 10)));
  pair.turn();
  CHECK(pair.link->receiving());
  CHECK_FALSE(pair.link->idle());
  REQUIRE(pair.read);
  pair.link.reset();
  CHECK(pair.links.count() == 0);
  CHECK(changed == 1);
}
