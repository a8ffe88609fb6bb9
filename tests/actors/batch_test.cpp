#include "actors/batch.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/replies.hpp"

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

using namespace phi;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{};

const auto sink = std::make_shared<phi::testing::deaf_replies>();

ingest_request request(size_t events, ticket to = 0) {
  ingest_request out{.to = to, .events = std::vector<event>(events)};
  out.bytes = events * 100;
  return out;
}

} // namespace

TEST_CASE("batch: bounds count what waits and what is under way") {
  batch_queue queue{{.max_events = 10, .max_bytes = 10'000, .batch_events = 4}};
  CHECK(queue.has_room(10, 1000));
  CHECK(queue.has_room(11, 10'001)); // when there is nothing else: it would never have room
  queue.push(request(3), sink, t0);
  queue.push(request(3), sink, t0 + 1s);
  CHECK(queue.oldest() == t0);
  auto cut = queue.cut();
  CHECK(cut.batch->events == 3); // two together would be more than a batch
  CHECK(queue.waiting_events() == 3);
  CHECK(queue.events() == 6);
  CHECK(queue.has_room(4, 100));
  CHECK_FALSE(queue.has_room(5, 100));
  CHECK_FALSE(queue.has_room(1, 10'000));
  queue.done(*cut.batch);
  CHECK(queue.events() == 3);
  CHECK(queue.oldest() == t0 + 1s);
}

TEST_CASE("batch: a request larger than a batch is one batch; small ones are joined in order") {
  batch_queue queue{{.max_events = 100, .max_bytes = 1 << 20, .batch_events = 4}};
  queue.push(request(9, 1), sink, t0);
  for (ticket i = 2; i < 8; ++i)
    queue.push(request(1, i), sink, t0);
  CHECK(queue.cut().batch->requests.size() == 1);
  auto second = queue.cut();
  REQUIRE(second.batch->requests.size() == 4);
  CHECK(second.batch->requests[0].to == 2);
  CHECK(second.batch->requests[3].to == 5);
}

TEST_CASE("batch: put back goes behind the others, in order, and only what nobody waits for") {
  batch_queue queue{{.max_events = 100, .max_bytes = 1 << 20, .batch_events = 3}};
  queue.push(request(1, 1), nullptr, t0);
  queue.push(request(1, 2), sink, t0);
  queue.push(request(1, 3), nullptr, t0);
  queue.push(request(1, 4), nullptr, t0);
  auto cut = queue.cut();
  CHECK(cut.fates[1] == cut_batch::fate::awaited);
  queue.put_back(std::move(cut), t0);
  CHECK(queue.events() == 3);
  auto again = queue.cut();
  REQUIRE(again.batch->requests.size() == 3);
  CHECK(again.batch->requests[0].to == 4);
  CHECK(again.batch->requests[1].to == 1);
  CHECK(again.batch->requests[2].to == 3);
}

TEST_CASE("batch: those who wait can be taken out, the others stay") {
  batch_queue queue{{.max_events = 100, .max_bytes = 1 << 20, .batch_events = 100}};
  for (ticket i = 0; i < 6; ++i)
    queue.push(request(1, i), i % 2 ? sink : nullptr, t0);
  CHECK(queue.someone_waits());
  CHECK(queue.take_awaited().size() == 3);
  CHECK_FALSE(queue.someone_waits());
  CHECK(queue.events() == 3);
  CHECK(queue.bytes() == 300);
}

TEST_CASE("a batch is committed or abandoned, never both") {
  commit_batch first;
  CHECK(first.begin_commit());
  CHECK_FALSE(first.abandon());
  commit_batch second;
  CHECK(second.abandon());
  CHECK(second.abandon());
  CHECK_FALSE(second.begin_commit());
  second.reopen();
  CHECK(second.begin_commit());
}
