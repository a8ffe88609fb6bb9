#include "server/http/access_log.hpp"

#include "actors/log.hpp"
#include "protocol/errors.hpp"
#include "server/api/client_address.hpp"
#include "server/http/connection_link.hpp"

#include <restinio/all.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>
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

struct read_character {
  char is;
  size_t end; ///< where the next begins
};

int digit_of(char c) {
  int value = 0;
  return std::from_chars(&c, &c + 1, value, 16).ec == std::errc{} ? value : -1;
}

/// The character at a place, also one that was escaped, and escaped again.
read_character character_at(std::string_view text, size_t at) {
  read_character out{text[at], at + 1};
  while (out.is == '%' && out.end + 2 <= text.size() && digit_of(text[out.end]) >= 0
         && digit_of(text[out.end + 1]) >= 0) {
    out.is = static_cast<char>(digit_of(text[out.end]) * 16 + digit_of(text[out.end + 1]));
    out.end += 2;
  }
  return out;
}

bool names_token_at(std::string_view text, size_t at) {
  for (char expected : std::string_view{"access_token"}) {
    if (at >= text.size())
      return false;
    auto read = character_at(text, at);
    if (std::tolower(static_cast<unsigned char>(read.is)) != expected)
      return false;
    at = read.end;
  }
  return true;
}

} // namespace

std::string path_to_tell(std::string_view path) {
  for (size_t at = 0; at < std::min(path.size(), longest_path); ++at)
    if (names_token_at(path, at))
      return std::string{path.substr(0, at)} + "...";
  return std::string{path.substr(0, longest_path)};
}

bool wants_requests(const config& settings) {
  return log_wants(level_of(settings));
}

void log_request(const config& settings, std::string_view method, const exchange& answered,
                 int status, size_t bytes, const std::string& client) {
  log(level_of(settings), "http", "answers a request",
      {{"method", method},
       {"path", path_to_tell(answered.path)},
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
