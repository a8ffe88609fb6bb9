#include "server/http/access_log.hpp"

#include "actors/log.hpp"
#include "protocol/errors.hpp"
#include "server/api/client_address.hpp"
#include "server/http/connection_link.hpp"

#include <restinio/all.hpp>

#include <cmath>

namespace phi::http {
namespace {

/// Of a path in a line; what nobody serves may be as long as a target may be.
constexpr size_t longest_path = 256;

log_level level_of(const config& settings) {
  return settings.logging.access ? log_level::info : log_level::debug;
}

/// To the microsecond.
double ms_since(time_point began) {
  return std::round(std::chrono::duration<double, std::micro>(clock::now() - began).count()) / 1000;
}

} // namespace

bool wants_requests(const config& settings) {
  return log_wants(level_of(settings));
}

void log_request(const config& settings, std::string_view method, const exchange& answered,
                 int status, size_t bytes, const std::string& client) {
  log(level_of(settings), "http", "answers a request",
      {{"method", method},
       {"path", answered.path.substr(0, longest_path)},
       {"status", status},
       {"ms", ms_since(answered.began)},
       {"bytes", bytes},
       {"client", client},
       {"id", answered.request_id}});
}

std::string peer_of(const connection_link& link) {
  asio_ns::error_code gone;
  auto peer = link.socket.remote_endpoint(gone).address().to_string();
  return gone ? "gone" : api::trusted_proxies{std::vector<std::string>{}}.client(peer, "");
}

void log_refusal(const config& settings, error_code why, const connection_link& link,
                 std::string_view request_id) {
  log(level_of(settings), "http", "refuses what is no request",
      {{"code", to_string(why)},
       {"status", facts(why).http_status},
       {"ms", ms_since(link.request_began())},
       {"client", peer_of(link)},
       {"id", request_id}});
}

} // namespace phi::http
