#pragma once
/// A request as RESTinio hands it out, on a connection that keeps what is written on it.

#include "server/http/exchanges.hpp"

#include <memory>
#include <string>
#include <utility>

namespace phi::testing {

class recorded_connection : public restinio::impl::connection_base_t {
public:
  recorded_connection() : connection_base_t{1} {}

  void check_timeout(std::shared_ptr<restinio::tcp_connection_ctx_base_t>&) override {}
  void write_response_parts(restinio::request_id_t, restinio::response_output_flags_t flags,
                            restinio::write_group_t group) override {
    for (const auto& item : group.items()) {
      auto bytes = item.buf();
      written.append(static_cast<const char*>(bytes.data()), bytes.size());
    }
    closes = flags.m_response_connection == restinio::response_connection_attr_t::connection_close;
    ++answers;
  }

  std::string written;
  bool closes = false;
  int answers = 0;
};

struct fake_request {
  explicit fake_request(const std::string& target = "/",
                        restinio::http_method_id_t method = restinio::http_method_get())
    : header(method, target) {
    header.should_keep_alive(true);
  }

  fake_request& field(const std::string& name, const std::string& value) {
    header.add_field(name, value);
    return *this;
  }

  /// `peer`: the address that it comes from.
  restinio::request_handle_t made(const std::string& peer = "192.0.2.1") {
    restinio::no_extra_data_factory_t nothing_more;
    return std::make_shared<restinio::request_t>(
      restinio::request_id_t{0}, header, std::string{}, connection,
      restinio::endpoint_t{restinio::asio_ns::ip::make_address(peer), 4711}, nothing_more);
  }

  restinio::http_request_header_t header;
  std::shared_ptr<recorded_connection> connection = std::make_shared<recorded_connection>();
};

} // namespace phi::testing
