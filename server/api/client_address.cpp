#include "server/api/client_address.hpp"

#include "protocol/platform/addresses.hpp"

#include <charconv>
#include <stdexcept>

namespace phi::api {
namespace {

/// 4 or 16 bytes; nothing for what is no address. ::ffff:1.2.3.4 counts as 1.2.3.4.
std::vector<unsigned char> address_bytes(const std::string& text) {
  auto bytes = bytes_of_address(text);
  static const std::vector<unsigned char> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (bytes.size() > mapped.size() && std::equal(mapped.begin(), mapped.end(), bytes.begin()))
    return {bytes.begin() + 12, bytes.end()};
  return bytes;
}

/// The one spelling that an address has here, whoever wrote it; empty for what is no address.
std::string canonical(const std::string& text) {
  auto bytes = address_bytes(text);
  return bytes.empty() ? std::string{} : text_of_address(bytes);
}

/// Without what may stand around an address: quotes, brackets, a port, the name of an interface.
std::string_view bare(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
    text = text.substr(1, text.size() - 2);
  if (text.starts_with('[')) {
    auto close = text.find(']');
    bool ends = close != text.npos && (close + 1 == text.size() || text[close + 1] == ':');
    text = ends ? text.substr(1, close - 1) : std::string_view{};
  } else if (auto colon = text.find(':'); colon != text.npos && text.rfind(':') == colon) {
    text = text.substr(0, colon); // one colon: an IPv4 address and a port
  }
  return text.substr(0, text.find('%'));
}

bool same_prefix(const std::vector<unsigned char>& a, const std::vector<unsigned char>& b,
                 int bits) {
  for (size_t i = 0; bits > 0; ++i, bits -= 8) {
    auto mask = static_cast<unsigned char>(bits >= 8 ? 0xff : 0xff << (8 - bits));
    if ((a[i] & mask) != (b[i] & mask))
      return false;
  }
  return true;
}

std::string_view trim(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  if (first == text.npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

} // namespace

trusted_proxies::trusted_proxies(const std::vector<std::string>& entries) {
  for (const auto& entry : entries) {
    auto slash = std::min(entry.find('/'), entry.size());
    network net{address_bytes(entry.substr(0, slash)), 0};
    int most = static_cast<int>(net.bytes.size()) * 8;
    net.bits = most;
    if (slash < entry.size()) {
      const char* end = entry.data() + entry.size();
      auto [stop, error] = std::from_chars(entry.data() + slash + 1, end, net.bits);
      if (error != std::errc{} || stop != end)
        net.bits = -1;
      if (net.bytes.size() == 4 && entry.find(':') < slash)
        net.bits -= 96; // ::ffff:10.0.0.0/104
    }
    if (most == 0 || net.bits < 0 || net.bits > most)
      throw std::invalid_argument("server.trusted_proxies = \"" + entry
                                  + "\" is no address or network such as 10.0.0.0/8");
    networks_.push_back(std::move(net));
  }
}

bool trusted_proxies::contains(const std::string& address) const {
  auto bytes = address_bytes(address);
  for (const auto& net : networks_)
    if (net.bytes.size() == bytes.size() && same_prefix(net.bytes, bytes, net.bits))
      return true;
  return false;
}

std::string trusted_proxies::client(const std::string& peer, std::string_view forwarded_for) const {
  std::string client = canonical(std::string{bare(peer)});
  while (contains(client) && !forwarded_for.empty()) {
    auto comma = forwarded_for.rfind(',');
    auto last = comma == forwarded_for.npos ? forwarded_for : forwarded_for.substr(comma + 1);
    forwarded_for =
      comma == forwarded_for.npos ? std::string_view{} : forwarded_for.substr(0, comma);
    auto next = canonical(std::string{bare(trim(last))});
    if (next.empty())
      break; // what a client made up is not believed
    client = std::move(next);
  }
  return client;
}

} // namespace phi::api
