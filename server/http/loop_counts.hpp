#pragma once
/// What an event loop counts. Written by its thread, read by any.

#include "actors/ports/http_port.hpp"
#include "protocol/endpoints.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

namespace phi::http {

constexpr request_kind kind_of(endpoint_kind kind) {
  switch (kind) {
    case endpoint_kind::ingest: return request_kind::ingest;
    case endpoint_kind::question: return request_kind::question;
    default: return request_kind::other;
  }
}

class loop_counts {
public:
  std::atomic<uint64_t> connections{0};
  std::atomic<uint64_t> in_flight{0};
  std::atomic<uint64_t> probes{0}; ///< connections of our own

  /// A request was answered with this status.
  void answered(int status) noexcept {
    add(by_class_[static_cast<size_t>(std::clamp(status / 100, 0, 5))]);
    if (status == 503)
      add(refused_);
    if (status == 429)
      add(rate_limited_);
  }

  /// It had been received whole `took` before.
  void answered_after(request_kind kind, duration took) noexcept {
    auto& times = took_[static_cast<size_t>(kind)];
    add(times.in[time_counts::place_of(took)]);
    times.total.fetch_add(took.count(), std::memory_order_relaxed);
  }

  /// Into those of the same name.
  void tell(http_counts& out) const {
    out.connections = read(connections);
    out.in_flight = read(in_flight);
    out.refused = read(refused_);
    out.rate_limited = read(rate_limited_);
    for (size_t i = 0; i < by_class_.size(); ++i) {
      out.by_class[i] = read(by_class_[i]);
      out.requests += out.by_class[i];
    }
    for (size_t kind = 0; kind < took_.size(); ++kind) {
      for (size_t i = 0; i < took_[kind].in.size(); ++i)
        out.took[kind].in[i] = read(took_[kind].in[i]);
      out.took[kind].total = duration{took_[kind].total.load(std::memory_order_relaxed)};
    }
  }

private:
  struct times {
    std::array<std::atomic<uint64_t>, time_counts::bounds_ms.size() + 1> in{};
    std::atomic<duration::rep> total{0};
  };

  static void add(std::atomic<uint64_t>& to) noexcept {
    to.fetch_add(1, std::memory_order_relaxed);
  }
  static uint64_t read(const std::atomic<uint64_t>& from) noexcept {
    return from.load(std::memory_order_relaxed);
  }

  std::array<std::atomic<uint64_t>, 6> by_class_{};
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> rate_limited_{0};
  std::array<times, request_kinds> took_{};
};

} // namespace phi::http
