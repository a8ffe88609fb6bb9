// Requests that wait for their answer: a late answer never meets another request.

#include "server/http/exchanges.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/fake_request.hpp"

#include <set>

using namespace phi;
using namespace phi::http;
using namespace phi::testing;

TEST_CASE("exchanges: a ticket names one request, also when its place has another") {
  exchange_table table{1};
  auto first = table.add(fake_request{"/a"}.made(), 5).to;
  auto second = table.add(fake_request{"/b"}.made(), 6).to;
  CHECK(table.size() == 2);
  REQUIRE(table.find(first));
  CHECK(table.find(first)->request->header().request_target() == "/a");
  CHECK(table.find(first)->wall_us == 5);
  table.remove(first);
  CHECK_FALSE(table.find(first));
  auto third = table.add(fake_request{"/c"}.made(), 7).to;
  CHECK(static_cast<uint32_t>(third) == static_cast<uint32_t>(first)); // the same place
  CHECK(third != first);
  CHECK_FALSE(table.find(first));
  table.remove(first); // an answer that came twice
  CHECK(table.size() == 2);
  REQUIRE(table.find(third));
  CHECK(table.find(third)->request->header().request_target() == "/c");
  REQUIRE(table.find(second));
  CHECK(table.find(second)->wall_us == 6);
  CHECK_FALSE(table.find(0));
  CHECK_FALSE(table.find((ticket{1} << 32) | 99)); // a place that there is not
}

TEST_CASE("exchanges: nothing of the last request is left in its place") {
  exchange_table table{1};
  auto& first = table.add(fake_request{}.field("X-Request-Id", "mine").made(), 5);
  first.path = "/a";
  first.rejected.resize(3);
  first.atomic = first.head = first.is_probe = true;
  first.allowed_methods = "GET";
  first.origin = "https://a.example";
  auto gone = std::make_shared<std::atomic<bool>>(false);
  first.gone = gone;
  CHECK(first.request_id == "mine");
  table.remove(first.to);
  CHECK(gone->load()); // whoever works for it may stop
  auto& next = table.add(fake_request{}.made(), 6);
  CHECK(next.request_id != "mine");
  CHECK(next.path.empty());
  CHECK(next.rejected.empty());
  CHECK_FALSE(next.atomic);
  CHECK_FALSE(next.head);
  CHECK_FALSE(next.is_probe);
  CHECK(next.allowed_methods.empty());
  CHECK(next.origin.empty());
  CHECK_FALSE(next.gone);
  CHECK(next.route == nullptr);
}

TEST_CASE("exchanges: a client's id is used when it is harmless, else it gets one of ours") {
  exchange_table table{0xabc};
  auto id_of = [&](const std::string& given) {
    return table.add(fake_request{}.field("x-request-id", given).made(), 0).request_id;
  };
  for (const auto& good : {std::string{"a"}, std::string{"A.b_c-9"}, std::string(128, 'x')})
    CHECK(id_of(good) == good);
  CHECK(table.add(fake_request{}.made(), 0).request_id == "0000000000000abc-1");
  int count = 1;
  for (const auto& bad : {std::string{}, std::string{"a b"}, std::string{"a\"b"},
                          std::string{"\xc3\xa4"}, std::string{"a/b"}, std::string(129, 'x')}) {
    CAPTURE(bad);
    CHECK(id_of(bad) == "0000000000000abc-" + std::to_string(++count));
  }
  for (int i = 0; i < 9; ++i)
    table.next_request_id();
  CHECK(table.next_request_id() == "0000000000000abc-11"); // in hex: the 17th
}

TEST_CASE("exchanges: who has waited since then or longer") {
  exchange_table table{1};
  time_point then{};
  std::set<ticket> old;
  for (int i = 0; i < 5; ++i) {
    auto& one = table.add(fake_request{}.made(), 0);
    one.began = then + std::chrono::seconds{i};
    if (i < 3)
      old.insert(one.to);
  }
  auto found = table.older_than(then + std::chrono::seconds{2});
  CHECK(std::set<ticket>(found.begin(), found.end()) == old);
  table.remove(*old.begin());
  CHECK(table.older_than(then + std::chrono::seconds{2}).size() == 2);
  size_t seen = 0;
  table.for_each([&](const exchange& one) { seen += one.to != *old.begin(); });
  CHECK(seen == 4);
}
