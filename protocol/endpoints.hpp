#pragma once
/// THE table of the HTTP API. Routes, what a token must allow, the check of parameters, `ask` on
/// the admin socket and the commands of `phictl stats` are made from it.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace phi {

/// How a parameter is read and checked.
enum class parameter_type : uint8_t {
  date,      ///< "2026-01-31", "today", "yesterday", "-6d": a local day of the question's zone
  moment,    ///< a day, or an RFC 3339 time, "now", "-24h", at a quarter of an hour
  time_zone, ///< an IANA name; without it, stats.timezone
  range,     ///< "previous", or two moments with ".." between them
  text,      ///< 1 to `most` bytes, equal to what is looked for; left out: anything
  number,    ///< from 1; more than `most` counts as `most`
  words,     ///< of `words`, parted by `, ;` or white space; "all" is every one
  choice,    ///< one of `words`
};

struct endpoint_parameter {
  std::string_view name;
  parameter_type type = parameter_type::text;
  std::string_view help;
  bool required = false;
  uint32_t most = 0;           ///< of a number, or of a text's bytes
  std::string_view words = {}; ///< one line, parted by spaces
  bool repeatable = false;     ///< of a text: may be given several times
  bool may_name_none = false;  ///< of words: an empty list is one
};

/// What a token must allow. `admin` allows everything.
enum class scope : uint8_t { none, ingest, read, admin };

enum class endpoint_kind : uint8_t {
  question, ///< answered by the reader; has its answerer in server/api/question_reader.cpp
  ingest,
  health, ///< state of queue and ledger
  live,
  ready,
  startup,
  metrics,
  stream,    ///< server-sent events
  lifecycle, ///< what has happened to the service
  index,     ///< which endpoints there are
  docs,      ///< the same with all parameters, to read in a browser
  openapi,   ///< the same for programs
};

/// A question is asked with a query string. Where it has `start` and `end`, these are the first and
/// the last day of a range of up to stats.max_range_days.
struct endpoint {
  std::string_view path;    ///< behind api.prefix, if it `counts`
  std::string_view command; ///< of `phictl stats`; empty: it has none
  std::string_view help;
  std::span<const endpoint_parameter> parameters = {};
  endpoint_kind kind = endpoint_kind::question;
  std::string_view method = "GET"; ///< "GET" also serves HEAD
  scope needs = scope::read;

  /// Not for those who watch the service: there with stats.enabled, behind api.prefix, recorded
  /// with stats.track_requests.
  constexpr bool counts() const {
    return kind == endpoint_kind::question || kind == endpoint_kind::ingest
           || kind == endpoint_kind::lifecycle || kind == endpoint_kind::stream;
  }
};

namespace endpoint_table {

inline constexpr uint32_t longest_text = 1024;

inline constexpr endpoint_parameter required_start{"start", parameter_type::date, "First day",
                                                   true};
inline constexpr endpoint_parameter required_end{"end", parameter_type::date, "Last day", true};
inline constexpr endpoint_parameter start{"start", parameter_type::date, "First day"};
inline constexpr endpoint_parameter end{"end", parameter_type::date, "Last day"};
inline constexpr endpoint_parameter zone{"timezone", parameter_type::time_zone, "IANA time zone"};
inline constexpr endpoint_parameter feature{"feature", parameter_type::text, "Only this feature",
                                            false, longest_text};
inline constexpr endpoint_parameter route{"route", parameter_type::text, "Only this route", false,
                                          longest_text};
inline constexpr endpoint_parameter method{"method", parameter_type::text, "Only this method",
                                           false, longest_text};

inline constexpr endpoint_parameter source{.name = "source",
                                           .type = parameter_type::choice,
                                           .help = "Whose events: of users, unless given, or "
                                                   "phi for the service's own requests",
                                           .words = "user phi"};
/// Of those whose answer is a list.
inline constexpr endpoint_parameter format{.name = "format",
                                           .type = parameter_type::choice,
                                           .help = "How the answer is written; json unless given, "
                                                   "or what Accept says",
                                           .words = "json csv ndjson"};

inline constexpr std::array daily{required_start, required_end, zone,   feature,
                                  route,          method,       source, format};
inline constexpr std::array daily_features{required_start, required_end, zone, feature, format};
inline constexpr std::array daily_active_users{required_start, required_end, zone, format};
inline constexpr std::array daily_http{
  required_start,
  required_end,
  zone,
  route,
  method,
  endpoint_parameter{.name = "top",
                     .type = parameter_type::number,
                     .help = "Routes of each day, those with the most errors first; 200 unless "
                             "given, more counts as 200",
                     .most = 200},
  source,
  format};
inline constexpr std::array latency{
  required_start,
  required_end,
  zone,
  endpoint_parameter{.name = "bucket",
                     .type = parameter_type::choice,
                     .help = "What a row is about, a day unless given; weeks begin on Monday",
                     .words = "day week month"},
  feature,
  route,
  method,
  source,
  format};
constexpr endpoint_parameter any_of(std::string_view name, std::string_view help) {
  return {.name = name, .help = help, .most = longest_text, .repeatable = true};
}

inline constexpr std::array series{
  endpoint_parameter{"start", parameter_type::moment, "First day, or a time", true},
  endpoint_parameter{"end", parameter_type::moment, "Last day, or the time at which it ends", true},
  zone,
  endpoint_parameter{.name = "interval",
                     .type = parameter_type::choice,
                     .help = "What a row is about, a day unless given; weeks begin on Monday",
                     .words = "hour day week month"},
  endpoint_parameter{.name = "by",
                     .type = parameter_type::choice,
                     .help = "By what events are told apart, nothing unless given",
                     .words = "none feature action route method status class instance user_kind"},
  endpoint_parameter{.name = "metrics",
                     .type = parameter_type::words,
                     .help = "What is counted; events, errors and users unless given",
                     .words = "events errors error_rate users addresses avg min max p50 p90 p95 "
                              "p99 p999"},
  any_of("feature", "Only this feature; of several: any of them"),
  any_of("action", "Only this action"),
  any_of("route", "Only this route"),
  any_of("method", "Only this method"),
  any_of("status", "Only this status"),
  endpoint_parameter{.name = "class",
                     .type = parameter_type::words,
                     .help = "Only these classes of statuses",
                     .words = "1xx 2xx 3xx 4xx 5xx"},
  any_of("instance", "Only this instance"),
  any_of("user_kind", "Only this kind of user"),
  endpoint_parameter{.name = "top",
                     .type = parameter_type::number,
                     .help = "Keys that are told apart, the most frequent; 20 unless given, more "
                             "than 200 counts as 200",
                     .most = 200},
  endpoint_parameter{.name = "compare",
                     .type = parameter_type::range,
                     .help = "The same of another range: previous, or START..END"},
  source,
  format};

inline constexpr std::array live{
  endpoint_parameter{.name = "events",
                     .type = parameter_type::choice,
                     .help = "Whether each event is sent as well when it is stored; false unless "
                             "given",
                     .words = "true false"}};

inline constexpr std::array lifecycle{format};

inline constexpr std::array summary{
  start,
  end,
  zone,
  feature,
  endpoint_parameter{.name = "include",
                     .type = parameter_type::words,
                     .help = "Parts to add to the answer, commas between them",
                     .words = "routes methods status instances actions latency unique_ips "
                              "user_kinds",
                     .may_name_none = true},
  endpoint_parameter{.name = "top",
                     .type = parameter_type::number,
                     .help = "Rows of each added part, the most frequent first; 20 unless given, "
                             "more than 200 counts as 200",
                     .most = 200},
  source};

} // namespace endpoint_table

inline constexpr std::array endpoints{
  endpoint{"/stats/daily", "daily", "Events and errors of each day", endpoint_table::daily},
  endpoint{"/stats/daily/features", "features", "Events and users of each day and feature",
           endpoint_table::daily_features},
  endpoint{"/stats/daily/dau", "dau", "Active users and addresses of each day",
           endpoint_table::daily_active_users},
  endpoint{"/stats/daily/http", "http", "Requests and errors of each day and route",
           endpoint_table::daily_http},
  endpoint{"/stats/latency", "latency", "How long events took, by feature, route and method",
           endpoint_table::latency},
  endpoint{"/stats/series", "series", "Any numbers by hour, day, week or month",
           endpoint_table::series},
  endpoint{"/stats/summary", "summary", "Everything at a glance", endpoint_table::summary},
  endpoint{"/cluster", "", "The instances that share the database"},
  endpoint{.path = "/stats/live",
           .help = "Counters each second, as server-sent events, until you hang up",
           .parameters = endpoint_table::live,
           .kind = endpoint_kind::stream},
  endpoint{.path = "/lifecycle",
           .help = "Starts, stops, crashes, reloads and times of trouble, the newest last",
           .parameters = endpoint_table::lifecycle,
           .kind = endpoint_kind::lifecycle},
  endpoint{.path = "/events",
           .help = "Takes events: one, an array, or a line each",
           .kind = endpoint_kind::ingest,
           .method = "POST",
           .needs = scope::ingest},
  endpoint{.path = "/health",
           .help = "How the service is, its queue and its account",
           .kind = endpoint_kind::health,
           .needs = scope::none},
  endpoint{.path = "/health/live",
           .help = "Whether the process answers",
           .kind = endpoint_kind::live,
           .needs = scope::none},
  endpoint{.path = "/health/ready",
           .help = "Whether events and questions are taken now",
           .kind = endpoint_kind::ready,
           .needs = scope::none},
  endpoint{.path = "/health/startup",
           .help = "Whether the start is over",
           .kind = endpoint_kind::startup,
           .needs = scope::none},
  endpoint{.path = "/metrics",
           .help = "What the service measures about itself, for Prometheus",
           .kind = endpoint_kind::metrics},
  endpoint{.path = "/",
           .help = "What there is to ask",
           .kind = endpoint_kind::index,
           .needs = scope::none},
  endpoint{.path = "/docs",
           .help = "This API, to read in a browser",
           .kind = endpoint_kind::docs,
           .needs = scope::none},
  endpoint{.path = "/openapi.json",
           .help = "This API for programs (OpenAPI 3.1)",
           .kind = endpoint_kind::openapi,
           .needs = scope::none},
};

/// More commands of `phictl stats`: questions with some of their parameters given.
struct endpoint_shortcut {
  std::string_view command;
  std::string_view help;
  std::string_view path;       ///< of the endpoint
  std::string_view fixed;      ///< a query string of parameters that the command does not have
  std::string_view parameters; ///< the same of those that it has; what is asked goes before it
  std::string_view metrics;    ///< worth asking for with these parameters, parted by spaces
};

inline constexpr std::array endpoint_shortcuts{
  endpoint_shortcut{
    "routes", "Routes, those with the most events first; - are events without a route",
    "/stats/series", "by=route&interval=month", "metrics=events,errors,error_rate,avg,p95",
    "events errors error_rate avg min max p50 p90 p95 p99 p999"},
  endpoint_shortcut{"errors",
                    "Routes with errors, those with the most first; - are events without a route",
                    "/stats/series", "by=route&interval=month", "class=4xx,5xx&metrics=events",
                    "events avg min max"},
};

} // namespace phi
