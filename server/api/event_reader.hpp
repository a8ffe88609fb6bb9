#pragma once
/// Reads events out of a body: JSON in, valid `event`s and a list of what is wrong out. Everything
/// that a store could not hold is refused here, for its index, the same for every store.

#include "config/config.hpp"
#include "protocol/event.hpp"
#include "server/api/problem.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phi::api {

struct event_limits {
  size_t events = 0;      ///< in one request
  size_t event_bytes = 0; ///< JSON text of one event
  size_t text_bytes = 0;
  size_t extra_bytes = 0;
  int64_t max_future_us = 0;
  int64_t max_age_us = 0;
  std::optional<int64_t> start_at_us;
};

event_limits event_limits_of(const config& c);

struct read_events {
  error_code error = error_code::none; ///< the body as a whole is wrong: no event was read
  std::string detail;
  std::vector<event> events;
  std::vector<problem_detail> rejected;
};

/// Keeps parser memory between calls. One instance a thread.
class event_reader {
public:
  event_reader(event_limits limits, const std::string& user_hash_salt);
  ~event_reader();

  void set_limits(const event_limits& limits);

  /// One event, or an array of events.
  read_events read_json(std::string_view body, int64_t now_us);

  /// One event a line; empty lines are skipped and have no index.
  read_events read_ndjson(std::string_view body, int64_t now_us);

private:
  class work;
  std::unique_ptr<work> work_;
};

} // namespace phi::api
