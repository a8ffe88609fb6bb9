#pragma once
/// Decides what becomes of a request: an answer at once, events for the actors, or a question to
/// them. Knows no socket and no thread; belongs to one event loop.

#include "server/api/event_reader.hpp"
#include "server/api/question_reader.hpp"
#include "server/http/answers.hpp"
#include "server/http/cloud_binding.hpp"
#include "server/http/event_loop.hpp"
#include "server/http/exchanges.hpp"

#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace phi::http {

/// What of a request decides; views into it. What it does not have is empty.
struct request_fields {
  std::string_view method;
  std::string_view target;
  std::string_view origin;
  std::string_view authorization;
  std::string_view content_type;
  std::string_view content_encoding;
  std::string_view accept;
  std::string_view webhook_origin; ///< WebHook-Request-Origin
  std::string_view host;
  std::string_view asked_headers; ///< Access-Control-Request-Headers
  std::vector<raw_cloud_attribute> cloud;
  std::string_view body;
  std::string_view if_none_match;
  bool is_http_1_0 = false;

  /// Takes a field of the header if it is one of these.
  void take(std::string_view name, std::string_view value);
};

request_fields fields_of(const restinio::request_handle_t& request);

/// To be answered by a stream of server-sent events.
struct stream_query {
  bool events = false; ///< each event too, not only counters
};

struct decision {
  /// Nothing: the actors answer.
  std::optional<answer> reply;
  /// For the ledger, with a reply; else to be stored.
  std::optional<ingest_request> events;
  std::variant<std::monostate, reader_query, health_query, service_query, stream_query> question;
};

class request_handler {
public:
  /// `settings` are those of the loop, which outlives it.
  request_handler(const loop_shared& shared, const config& settings);

  /// The settings have changed.
  void apply_settings();

  /// `current` is what is known of the request afterwards: its route, path, origin. `draining`: a
  /// stop has begun.
  decision decide(const request_fields& request, exchange& current, bool draining);

  /// The same for a request whose body has not come and need not: an answer if its head alone is
  /// reason enough to refuse it.
  std::optional<answer> refuse_early(const request_fields& request, exchange& current);

private:
  /// Whether a request spends from the quotas of its client, or only asks.
  enum class rate_use : uint8_t { spend, ask };

  std::optional<answer> admit_to_route(const request_fields& request, exchange& current,
                                       rate_use use);
  std::optional<answer> admit_to_need(const request_fields& request, exchange& current,
                                      rate_use use) const;
  std::optional<answer> limit_address(exchange& current, rate_use use) const;
  std::optional<answer> limit_token(std::string_view token, exchange& current, rate_use use) const;
  std::optional<answer> limit(std::string_view name, const rate_key& who, int64_t quota,
                              exchange& current, rate_use use) const;
  answer no_such_path(const exchange& current) const;
  decision serve(const request_fields& request, exchange& current, bool draining);
  static decision measure(const request_fields& request, exchange& current);
  decision readiness(const request_fields& request, const exchange& current, bool draining);
  decision ingest(const request_fields& request, exchange& current);
  decision ask(const request_fields& request, exchange& current);
  bool is_for_administrator(const request_fields& request) const;

  const loop_shared& shared_;
  const config& settings_;
  api::event_reader reader_;
  api::question_defaults question_defaults_;
};

/// The answer that says what is wrong with the request of `to`.
answer problem_answer(const exchange& to, error_code code, std::string_view detail = {},
                      const std::vector<api::problem_detail>& errors = {},
                      uint32_t retry_after_s = defaults::retry_after_min_s);

} // namespace phi::http
