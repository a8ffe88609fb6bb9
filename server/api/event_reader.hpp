#pragma once
/// Reads events out of a body: JSON in, valid `event`s and a list of what is wrong out. Everything
/// that a store could not hold is refused here, for its index, the same for every store.

#include "protocol/event.hpp"
#include "server/api/cloud_event.hpp"
#include "server/api/event_builder.hpp"
#include "server/api/problem.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace phi::api {

struct read_events {
  error_code error = error_code::none; ///< the body as a whole is wrong: no event was read
  std::string detail;
  std::vector<event> events;
  std::vector<problem_detail> rejected;
};

/// What the body of a CloudEvent in binary mode is.
enum class cloud_data : uint8_t {
  json,
  text, ///< UTF-8
};

/// Keeps parser memory between calls. One instance a thread.
class event_reader {
public:
  event_reader(const event_limits& limits, const std::string& user_hash_salt);
  ~event_reader();

  void set_limits(const event_limits& limits);

  /// One event, or an array of events.
  read_events read_json(std::string_view body, int64_t now_us);

  /// One event a line; empty lines are skipped and have no index.
  read_events read_ndjson(std::string_view body, int64_t now_us);

  /// One CloudEvent in JSON, or an array of them, which may be empty.
  read_events read_cloud_event(std::string_view body, int64_t now_us);
  read_events read_cloud_batch(std::string_view body, int64_t now_us);

  /// One CloudEvent whose attributes stand elsewhere: `body` is its data.
  read_events read_cloud_event(const std::vector<cloud_attribute>& attributes, cloud_data data,
                               std::string_view body, int64_t now_us);

private:
  class work;
  std::unique_ptr<work> work_;
};

} // namespace phi::api
