// Fuzz target: whatever the bytes, the event reader neither crashes nor lets through an event that
// a store could not hold.

#include "server/api/event_reader.hpp"

#include <cstdlib>
#include <cstring>

namespace {

using namespace phi;
using namespace phi::api;

void require(bool holds) {
  if (!holds)
    std::abort();
}

void check(const read_events& read) {
  for (const auto& e : read.events) {
    require(!e.feature.empty() || !e.route.empty());
    for (const auto* text :
         {&e.feature, &e.action, &e.route, &e.method, &e.user_kind, &e.instance}) {
      require(text->size() <= 64);
      require(std::memchr(text->data(), 0, text->size()) == nullptr);
    }
    require(e.status == 0 || (e.status >= 100 && e.status <= 599));
    require(e.extra.size() <= 200);
    require(e.extra.find("\\u0000") == e.extra.npos || e.extra.find("\\\\u0000") != e.extra.npos);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static event_reader reader{{.events = 50,
                              .event_bytes = 1000,
                              .text_bytes = 64,
                              .extra_bytes = 200,
                              .max_future_us = 300'000'000,
                              .max_age_us = 86'400'000'000 * 3660},
                             "salt"};
  std::string_view body{reinterpret_cast<const char*>(data), size};
  constexpr int64_t now_us = 1'767'323'045'000'000;
  auto json = reader.read_json(body, now_us);
  auto lines = reader.read_ndjson(body, now_us);
  require(json.error == error_code::none || json.events.empty());
  check(json);
  check(lines);
  check(reader.read_cloud_event(body, now_us));
  check(reader.read_cloud_batch(body, now_us));
  static const std::vector<cloud_attribute> attributes{
    {"specversion", "1.0"}, {"id", "1"}, {"source", "s"}, {"type", "t"}};
  check(reader.read_cloud_event(attributes, cloud_data::json, body, now_us));
  if (simdjson::validate_utf8(body.data(), body.size()))
    check(reader.read_cloud_event(attributes, cloud_data::text, body, now_us));
  return 0;
}
