// Quotas of requests, on times that the test chooses.

#include "server/http/rate_limiter.hpp"
#include "tests/support/doctest.hpp"

#include <atomic>
#include <thread>
#include <vector>

using namespace phi;
using namespace phi::http;
using namespace std::chrono_literals;

namespace {

constexpr rate_policy ten_a_minute{.requests = 10, .window_s = 60}; // one in 6 s
const rate_key guilty = *rate_key_of_address("192.0.2.1");
const rate_key innocent = *rate_key_of_address("192.0.2.2");
const time_point start{1000h};

/// "admitted/remaining/restored/retry after".
std::string text_of(const rate_verdict& verdict) {
  return std::string{verdict.admitted ? "yes" : "no"} + "/" + std::to_string(verdict.remaining)
         + "/" + std::to_string(verdict.restored_s) + "/" + std::to_string(verdict.retry_after_s);
}

/// A client of its own for each number.
rate_key numbered(unsigned number) {
  return rate_key_of_token(std::to_string(number));
}

} // namespace

TEST_CASE("rates: a quota may be spent at once, and comes back evenly") {
  rate_limiter limiter{1};
  auto spend = [&](duration at) {
    return text_of(limiter.spend(guilty, ten_a_minute, start + at));
  };
  for (int i = 1; i <= 10; ++i)
    CHECK(spend(0s) == "yes/" + std::to_string(10 - i) + "/" + std::to_string(6 * i) + "/0");
  CHECK(spend(0s) == "no/0/60/6");
  CHECK(spend(5999ms) == "no/0/55/1"); // what is refused costs nothing
  CHECK(text_of(limiter.ask(guilty, ten_a_minute, start + 6s)) == "yes/1/54/0");
  CHECK(spend(6s) == "yes/0/60/0");
  CHECK(spend(6s) == "no/0/60/6");
  CHECK(spend(30s) == "yes/3/42/0"); // four were back
  CHECK(text_of(limiter.spend(innocent, ten_a_minute, start + 6s)) == "yes/9/6/0");
  CHECK(spend(1h) == "yes/9/6/0");
}

TEST_CASE("rates: around the turn of a window nobody gets two quotas") {
  rate_limiter limiter{1};
  int admitted = 0;
  for (auto at = start; at < start + 120s; at += 100ms)
    admitted += limiter.spend(guilty, ten_a_minute, at).admitted;
  CHECK(admitted == 10 + 19); // at once, and those that have come back since
}

TEST_CASE("rates: any numbers add up to their quota, also those that divide no second") {
  for (rate_policy policy :
       {rate_policy{1, 1}, rate_policy{3, 1}, rate_policy{7, 3600}, rate_policy{100'000, 86'400}}) {
    CAPTURE(policy.requests);
    rate_limiter limiter{1};
    int64_t admitted = 0;
    while (limiter.spend(guilty, policy, start).admitted)
      ++admitted;
    CHECK(admitted == policy.requests);
    CHECK(limiter.ask(guilty, policy, start + std::chrono::seconds{policy.window_s}).remaining
          == policy.requests);
  }
  rate_limiter limiter{1};
  constexpr rate_policy most{1'000'000'000, 86'400};
  CHECK(limiter.spend(guilty, most, start).remaining == 999'999'999);
}

TEST_CASE(
  "rates: a policy that has changed holds at once, and longer than its window nobody waits") {
  rate_limiter limiter{1};
  constexpr rate_policy slow{.requests = 2, .window_s = 86'400};
  for (int i = 0; i < 2; ++i)
    CHECK(limiter.spend(guilty, slow, start).admitted);
  CHECK(text_of(limiter.spend(guilty, slow, start)) == "no/0/86400/43200");
  CHECK(text_of(limiter.spend(guilty, ten_a_minute, start)) == "no/0/60/6");
  CHECK(limiter.ask(innocent, ten_a_minute, start).remaining == 10);
}

TEST_CASE("rates: an address is one client, of IPv6 its /64, and no token is one") {
  CHECK(rate_key_of_address("192.0.2.1") != rate_key_of_address("192.0.2.2"));
  CHECK(rate_key_of_address("2001:db8:1:2::1") == rate_key_of_address("2001:db8:1:2:ffff::2"));
  CHECK(rate_key_of_address("2001:db8:1:2::1") != rate_key_of_address("2001:db8:1:3::1"));
  CHECK(rate_key_of_address("::1") != rate_key_of_address("0.0.0.0"));
  CHECK_FALSE(rate_key_of_address(""));
  CHECK_FALSE(rate_key_of_address("gone"));
  CHECK(rate_key_of_token("0a1b2c3d") != rate_key_of_token("0a1b2c3e"));
  CHECK(rate_key_of_token(std::string{"\xc0\x00\x02\x01", 4}) != guilty);
}

TEST_CASE("rates: past its places a set forgets who has spent least, and refuses nobody for that") {
  rate_limiter limiter{1, 1};
  for (unsigned client = 0; client < rate_limiter::clients_in_set; ++client)
    for (unsigned times = 0; times <= client; ++times)
      CHECK(limiter.spend(numbered(client), ten_a_minute, start).admitted);
  auto left = [&](unsigned client, duration at = 0s) {
    return limiter.ask(numbered(client), ten_a_minute, start + at).remaining;
  };
  for (unsigned client = 0; client < rate_limiter::clients_in_set; ++client)
    CHECK(left(client) == 9 - client);
  CHECK(limiter.spend(numbered(100), ten_a_minute, start).remaining == 9);
  CHECK(left(0) == 10); // forgotten
  for (unsigned client = 1; client < rate_limiter::clients_in_set; ++client)
    CHECK(left(client) == 9 - client);
  // A flood of others does not bring back what the one who asks most has spent.
  for (unsigned client = 1000; client < 3000; ++client)
    CHECK(limiter.spend(numbered(client), ten_a_minute, start).admitted);
  CHECK(left(7) == 2);
  // Who has got everything back makes room first.
  CHECK(limiter.spend(numbered(4000), ten_a_minute, start + 20s).admitted);
  CHECK(left(7, 20s) == 5);
}

TEST_CASE("rates: threads share a quota, to the request") {
  rate_limiter limiter{1};
  constexpr rate_policy policy{.requests = 1000, .window_s = 3600};
  std::atomic<int> admitted{0};
  std::atomic<int> of_innocent{0};
  std::vector<std::thread> loops;
  for (int i = 0; i < 4; ++i)
    loops.emplace_back([&] {
      for (int n = 0; n < 500; ++n) {
        admitted += limiter.spend(guilty, policy, start).admitted;
        of_innocent += n % 5 == 0 && limiter.spend(innocent, policy, start).admitted;
      }
    });
  for (auto& loop : loops)
    loop.join();
  CHECK(admitted == 1000);
  CHECK(of_innocent == 400);
}
