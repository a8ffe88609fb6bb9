#pragma once
/// Whose request it is, behind proxies.

#include <string>
#include <string_view>
#include <vector>

namespace phi::api {

/// Addresses and networks of trusted proxies, IPv4 and IPv6.
class trusted_proxies {
public:
  /// Throws std::invalid_argument naming the entry that is no address or network.
  explicit trusted_proxies(const std::vector<std::string>& entries);

  bool contains(const std::string& address) const;

  /// The client's address: the peer's own, unless the peer is trusted; then the rightmost address
  /// of X-Forwarded-For (all its lines, joined by commas) that is not itself a trusted proxy. In
  /// one spelling, and without the port that some proxies add.
  std::string client(const std::string& peer, std::string_view forwarded_for) const;

private:
  struct network {
    std::vector<unsigned char> bytes;
    int bits = 0;
  };
  std::vector<network> networks_;
};

} // namespace phi::api
