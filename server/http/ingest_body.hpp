#pragma once
/// From the body of an ingest request to its events: flags, media type, coding, then the reader.

#include "server/api/event_reader.hpp"

#include <string_view>

namespace phi::http {

/// What of a request matters here; views into it.
struct ingest_body {
  std::string_view query_string;
  std::string_view content_type;
  std::string_view content_encoding;
  std::string_view text;
};

struct read_ingest_body {
  api::read_events events;
  bool atomic = false; ///< `?atomic=true`: all or nothing
};

/// `max_expanded_bytes` bounds a compressed body. `now_us` is the time of events that have none.
read_ingest_body read_ingest(const ingest_body& body, api::event_reader& reader,
                             size_t max_expanded_bytes, int64_t now_us);

} // namespace phi::http
