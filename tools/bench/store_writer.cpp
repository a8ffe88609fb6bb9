// What one transaction of the PostgreSQL writer costs, by the size of the batch and by how the rows
// go, without HTTP and actors. Called by tools/bench/postgres, which starts the server.

#include "protocol/text/rfc3339.hpp"
#include "server/store/postgres/ports.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace phi;
using namespace phi::store;
using namespace std::chrono_literals;
using bench_clock = std::chrono::steady_clock;

namespace {

std::mt19937_64 random_bits{std::random_device{}()};

event make_event(int64_t now_us) {
  event e{.time_us = now_us, .feature = "feature" + std::to_string(random_bits() % 10)};
  for (auto& byte : e.identity)
    byte = static_cast<uint8_t>(random_bits());
  e.action = "generate";
  e.route = "/image";
  e.method = "POST";
  e.status = 200;
  e.duration_us = static_cast<int64_t>(1000 + random_bits() % 500'000);
  e.user_hash = "0123456789abcdef0123456789abcd" + std::to_string(10 + random_bits() % 90);
  e.user_kind = "user";
  e.extra = R"({"k":"v"})";
  return e;
}

void fill(commit_batch& out, size_t events, uint64_t number, int64_t now_us) {
  out.number = number;
  digest id{};
  for (auto& byte : id)
    byte = static_cast<uint8_t>(random_bits());
  out.parts = {{id, 1}};
  out.events = events;
  auto& request = out.requests.emplace_back();
  for (size_t i = 0; i < events; ++i)
    request.events.push_back(make_event(now_us));
}

double ms(bench_clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

struct times {
  std::vector<bench_clock::duration> commits;
  size_t events = 0;

  void print(size_t size, const char* way) {
    std::sort(commits.begin(), commits.end());
    bench_clock::duration sum{};
    for (auto commit : commits)
      sum += commit;
    auto at = [&](double share) {
      return ms(commits[static_cast<size_t>(share * static_cast<double>(commits.size() - 1))]);
    };
    std::printf("%zu %s %.0f %.2f %.2f\n", size, way, static_cast<double>(events) / ms(sum) * 1000,
                at(0.5), at(0.99));
    std::fflush(stdout);
  }
};

} // namespace

/// A line for each size of batch and each way: size, how, events a second, p50 and p99 in ms.
int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: store_writer URL MILLISECONDS EVENTS...\n");
    return 2;
  }
  auto limit = std::chrono::milliseconds{std::strtoul(argv[2], nullptr, 10)};
  postgres_settings settings{.url = argv[1],
                             .instance = "bench",
                             .connect_timeout = 5s,
                             .commit_timeout = 10s,
                             .query_timeout = 10s};
  settings.copy_from = ~size_t{0};
  auto by_arrays = make_postgres_store(settings);
  settings.copy_from = 1;
  auto by_copy = make_postgres_store(settings);
  for (const auto& store : {by_arrays, by_copy})
    if (auto opened = store->open(); !opened) {
      std::fprintf(stderr, "%s\n", opened.why().c_str());
      return 1;
    }
  auto now_us = wall_clock_us();
  uint64_t number = 0;
  for (int i = 3; i < argc; ++i) {
    auto size = std::strtoul(argv[i], nullptr, 10);
    times arrays, copy;
    // By turns, so that a noisy machine hurts both alike.
    for (auto end = bench_clock::now() + limit; bench_clock::now() < end;)
      for (auto [store, sums] : {std::pair{by_arrays, &arrays}, {by_copy, &copy}}) {
        commit_batch batch;
        fill(batch, size, ++number, now_us);
        auto result = store->commit(batch);
        if (result.error != error_code::none) {
          std::fprintf(stderr, "%s\n", result.detail.c_str());
          return 1;
        }
        sums->commits.push_back(std::chrono::duration_cast<bench_clock::duration>(result.took));
        sums->events += size;
      }
    arrays.print(size, "arrays");
    copy.print(size, "COPY");
  }
  for (const auto& store : {by_arrays, by_copy})
    store->close().ignore("all is measured");
}
