#pragma once
/// Events as real senders have them. Each is a function of the wishes and of its number alone, so
/// that any part of a series can be made by itself, as a line of JSON, as a row, or as CSV.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace phi::bench {

enum class event_mode : uint8_t {
  live,     ///< of the last minutes, in order
  history,  ///< 30 days, in order
  backfill, ///< 30 days, in no order
  bomb,     ///< as history, with 100 000 routes
  constant, ///< always the same, without id and time
};

struct event_wishes {
  uint64_t count = 0; ///< of the whole series
  event_mode mode = event_mode::history;
  uint64_t seed = 1;    ///< other events, other ids
  double days = 0;      ///< how far back they go; 0: as far as the mode says
  int64_t until_us = 0; ///< when they end, in microseconds since 1970
};

/// Texts that are empty are not there.
struct bench_event {
  std::string id;
  std::string_view source;
  std::array<uint8_t, 16> digest{}; ///< stands for that of id and source
  int64_t time_us = 0;              ///< 0: none
  std::string_view feature;
  std::string_view action;
  std::string route;
  std::string_view method;
  int status = 0;
  int64_t duration_us = 0; ///< whole tenths of a millisecond
  std::string user_hash;
  std::string_view user_kind;
  std::string_view instance;
};

/// Used by many threads at a time.
class event_maker {
public:
  explicit event_maker(const event_wishes& wanted);

  /// The event of a number below `count`.
  void make(uint64_t number, bench_event& out) const;

private:
  int64_t time_of(uint64_t number, double jitter) const;
  uint64_t place_of(uint64_t number) const;

  event_wishes wanted_;
  std::vector<double> routes_; ///< sums of the weights up to each, the last is 1
  std::vector<double> users_;  ///< the same
  std::vector<double> day_;    ///< time of day, in days, by the share of the day's events before it
  double begin_ = 0;           ///< events of all time before the first of ours, in days' worth
  double length_ = 0;          ///< of ours, in the same unit
  unsigned half_bits_ = 0;     ///< of a place
};

/// A line, with its end.
void append_json(std::string& out, const bench_event& event);

/// A line of time_us, digest (`\x0123...`), feature, action, route, method, status, duration_us,
/// user_hash, user_kind, instance.
void append_csv(std::string& out, const bench_event& event);

} // namespace phi::bench
