#include "server/api/client_address.hpp"
#include "tests/support/doctest.hpp"

#include <stdexcept>

using namespace phi;
using namespace phi::api;

TEST_CASE("proxies: X-Forwarded-For counts from the right, behind trusted ones only") {
  trusted_proxies proxies{{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"}};
  CHECK(proxies.client("203.0.113.9", "1.2.3.4") == "203.0.113.9");
  CHECK(proxies.client("10.1.2.3", "1.2.3.4") == "1.2.3.4");
  CHECK(proxies.client("10.1.2.3", "6.6.6.6, 1.2.3.4, 192.0.2.7") == "1.2.3.4");
  CHECK(proxies.client("10.1.2.3", "") == "10.1.2.3");
  CHECK(proxies.client("10.1.2.3", "1.2.3.4, not an address") == "10.1.2.3");
  CHECK(proxies.client("2001:db8::1", "2001:db9::1") == "2001:db9::1");
  CHECK(proxies.client("::ffff:10.0.0.1", "1.2.3.4") == "1.2.3.4");
  // With a port, in brackets, and however it is spelt, it is one address.
  CHECK(proxies.client("10.1.2.3", "203.0.113.7:41000") == "203.0.113.7");
  CHECK(proxies.client("10.1.2.3", "[2001:db9::1]:443") == "2001:db9::1");
  CHECK(proxies.client("10.1.2.3", "[2001:db9::1]") == "2001:db9::1");
  CHECK(proxies.client("10.1.2.3", "\"[2001:db9::1]:443\"") == "2001:db9::1");
  CHECK(proxies.client("10.1.2.3", "2001:0DB9:0:0::0001") == "2001:db9::1");
  CHECK(proxies.client("10.1.2.3", "fe80::1%eth0") == "fe80::1");
  CHECK(proxies.client("10.1.2.3", "::ffff:1.2.3.4") == "1.2.3.4");
  CHECK(proxies.client("10.1.2.3", "1.2.3.4, 10.0.0.9:3128, [2001:db8::7]:80") == "1.2.3.4");
  CHECK(proxies.client("::FFFF:203.0.113.9", "") == "203.0.113.9");
  CHECK(proxies.client("fe80::1%eth0", "1.2.3.4") == "fe80::1"); // as the system names such a peer
  CHECK(proxies.client("fe80::2%2", "") == "fe80::2");
  for (const auto* odd : {"[2001:db9::1", "[2001:db9::1]x", "unknown", "_hidden", "1.2.3.4.5", ""})
    CHECK(proxies.client("10.1.2.3", odd) == "10.1.2.3");
  CHECK(trusted_proxies{{"::ffff:10.0.0.0/104"}}.contains("10.1.2.3"));
  CHECK_FALSE(trusted_proxies{{"::ffff:10.0.0.0/104"}}.contains("11.1.2.3"));
  CHECK_THROWS_AS(trusted_proxies({"10.0.0.0/33"}), std::invalid_argument);
  CHECK_THROWS_AS(trusted_proxies({"example.org"}), std::invalid_argument);
}
