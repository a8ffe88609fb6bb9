#pragma once
/// From the body of an ingest request to its events: flags, media type, coding, then the reader.

#include "server/api/event_reader.hpp"
#include "server/http/cloud_binding.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace phi::http {

/// What of a request matters here; views into it.
struct ingest_body {
  std::string_view query_string;
  std::string_view content_type;
  std::string_view content_encoding;
  std::string_view text;
  std::span<const raw_cloud_attribute> cloud = {};
  bool from_page = false; ///< of an origin that is allowed: beacons of browsers are text/plain
};

struct read_ingest_body {
  api::read_events events;
  bool atomic = false;                                    ///< `?atomic=true`: all or nothing
  std::vector<api::problem_detail> wrong_parameters = {}; ///< of the query string, by their names
};

/// What is wrong with the request whatever its body is: error none, if nothing.
read_ingest_body refuse_ingest(const ingest_body& body);

/// `max_expanded_bytes` bounds a compressed body. `now_us` is the time of events that have none.
read_ingest_body read_ingest(const ingest_body& body, api::event_reader& reader,
                             size_t max_expanded_bytes, int64_t now_us);

} // namespace phi::http
