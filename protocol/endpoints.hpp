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
  date,      ///< "2026-01-31", a local day of the question's zone
  time_zone, ///< an IANA name; without it, stats.timezone
  text,      ///< up to `most` bytes, equal to what is looked for; empty: anything
  number,    ///< from 1; more than `most` counts as `most`
  words,     ///< of `words`, parted by `, ;` or white space; "all" is every one
};

struct endpoint_parameter {
  std::string_view name;
  parameter_type type = parameter_type::text;
  std::string_view help;
  bool required = false;
  uint32_t most = 0;           ///< of a number, or of a text's bytes
  std::string_view words = {}; ///< one line, parted by spaces
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
  index, ///< which endpoints there are
};

/// A question is asked with a query string. Where it has `start` and `end`, these are the first and
/// the last day of a range of up to stats.max_range_days.
struct endpoint {
  std::string_view path;    ///< behind api.prefix, but for those of the health
  std::string_view command; ///< of `phictl stats`; empty: it has none
  std::string_view help;
  std::span<const endpoint_parameter> parameters = {};
  endpoint_kind kind = endpoint_kind::question;
  std::string_view method = "GET"; ///< "GET" also serves HEAD
  scope needs = scope::read;

  /// Not for those who watch the service: there with stats.enabled, behind api.prefix, recorded
  /// with stats.track_requests.
  constexpr bool counts() const {
    return kind == endpoint_kind::question || kind == endpoint_kind::ingest;
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

inline constexpr std::array daily{required_start, required_end, zone, feature, route, method};
inline constexpr std::array daily_features{required_start, required_end, zone, feature};
inline constexpr std::array summary{
  start,
  end,
  zone,
  feature,
  endpoint_parameter{.name = "include",
                     .type = parameter_type::words,
                     .help = "Parts to add to the answer, commas between them",
                     .words =
                       "routes methods status instances actions latency unique_ips user_kinds"},
  endpoint_parameter{.name = "top",
                     .type = parameter_type::number,
                     .help = "Rows of each added part, the most frequent first; 20 unless given",
                     .most = 200}};

} // namespace endpoint_table

inline constexpr std::array endpoints{
  endpoint{"/stats/daily", "daily", "Events and errors of each day", endpoint_table::daily},
  endpoint{"/stats/daily/features", "features", "Events and users of each day and feature",
           endpoint_table::daily_features},
  endpoint{"/stats/summary", "summary", "Everything at a glance", endpoint_table::summary},
  endpoint{"/cluster", "", "The instances that share the database"},
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
  endpoint{.path = "/",
           .help = "What there is to ask",
           .kind = endpoint_kind::index,
           .needs = scope::none},
};

} // namespace phi
