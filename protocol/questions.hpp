#pragma once
/// What may be asked of the actors. A question is a type, and what a type can be asked of is said
/// by the interfaces in actors.hpp: the compiler knows every answerer of every question.

#include "protocol/health.hpp"
#include "protocol/reply.hpp"
#include "protocol/time.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace phi::statistics {
class tally_source;
} // namespace phi::statistics

namespace phi {

/// A day of the question's zone, or a time.
struct moment {
  std::optional<int32_t> day; ///< since 1970-01-01
  int64_t time_us = 0;        ///< without a day: since 1970, at a quarter of an hour

  bool operator==(const moment&) const = default;
};

/// A range that another one is compared with. Without its ends: as long as that, right before it.
struct range_to_compare {
  std::optional<moment> first;
  std::optional<moment> last; ///< a day is in it, a time is not

  bool operator==(const range_to_compare&) const = default;
};

/// The parameters of a question, each checked against its row in protocol/endpoints.hpp. The names
/// live as long as that table.
class question_parameters {
public:
  using word_set = std::set<std::string, std::less<>>;

  /// Days since 1970-01-01; nothing: not given.
  std::optional<int32_t> day(std::string_view name) const { return value<int32_t>(name); }
  std::optional<std::string> text(std::string_view name) const { return value<std::string>(name); }
  std::optional<uint32_t> number(std::string_view name) const { return value<uint32_t>(name); }
  std::optional<moment> time(std::string_view name) const { return value<moment>(name); }
  std::optional<range_to_compare> range(std::string_view name) const {
    return value<range_to_compare>(name);
  }
  /// All values of one that may be given several times; none: not given.
  std::vector<std::string> texts(std::string_view name) const {
    return value<std::vector<std::string>>(name).value_or(std::vector<std::string>{});
  }
  word_set words(std::string_view name) const { return value<word_set>(name).value_or(word_set{}); }
  bool has_word(std::string_view name, std::string_view word) const {
    auto words = value<word_set>(name);
    return words && words->contains(word);
  }

  using any_value = std::variant<int32_t, uint32_t, std::string, word_set, moment, range_to_compare,
                                 std::vector<std::string>>;

  void put(std::string_view name, any_value value) { values_[name] = std::move(value); }
  void append(std::string_view name, std::string text) {
    auto [at, is_new] = values_.try_emplace(name, std::vector<std::string>{});
    std::get<std::vector<std::string>>(at->second).push_back(std::move(text));
  }
  bool has(std::string_view name) const { return values_.contains(name); }

private:
  template <class T>
  std::optional<T> value(std::string_view name) const {
    auto found = values_.find(name);
    return found == values_.end() ? std::optional<T>{} : std::get<T>(found->second);
  }

  std::map<std::string_view, any_value> values_;
};

// -- asked of READER ------------------------------------------------------------------------------

/// A question about what was counted. It brings the function of server/statistics that answers it.
struct statistics_query {
  /// JSON text out of one state of the counts. Nothing before `start_at_us` is counted.
  using answer_function = std::string (*)(statistics::tally_source& counts,
                                          const question_parameters& parameters,
                                          std::optional<int64_t> start_at_us);

  std::string_view path; ///< of its endpoint
  question_parameters parameters;
  answer_function answer = nullptr; ///< never null in a question that is asked
};

/// A number that is still missing after this long was rolled back: a commit takes no longer, with
/// stats.busy_timeout_ms as it is by default.
inline constexpr std::chrono::seconds gap_patience{10};

/// The latest events, or those behind a number.
struct recent_events_query {
  uint32_t limit = 100; ///< 1 to 1000
  std::optional<int64_t> after;
  std::optional<std::string> feature;
  bool over_gaps = false; ///< not only up to a number that is still missing
};

/// The instances that share the database.
struct cluster_query {};

using reader_query = std::variant<statistics_query, recent_events_query, cluster_query>;

// -- asked of INSPECTOR: long work at everything that is there ------------------------------------

/// Are the counts what the rows say?
struct verify_task {};

/// A copy of the database; the answer carries it, open.
struct backup_task {
  std::string file; ///< where it is made
};

using inspection_task = std::variant<verify_task, backup_task>;

// -- asked of SPOOL -------------------------------------------------------------------------------

struct spool_show {};

/// Reads every batch.
struct spool_check {
  bool forget_missing = false; ///< of what is known to be lost it is told no more
};

/// What was set aside is tried again.
struct spool_requeue {};

using spool_task = std::variant<spool_show, spool_check, spool_requeue>;

// -- asked of MEMBERSHIP --------------------------------------------------------------------------

/// An instance should drain, or be ready again.
struct steer_instance {
  std::string instance;
  instance_wish wanted = instance_wish::ready;
};

/// An instance will not come back.
struct forget_instance {
  std::string instance;
};

/// This instance may go down now, and no other.
struct take_restart_slot {};

struct give_restart_slot {
  std::string instance; ///< of another, which is down; empty: our own
};

using cluster_task =
  std::variant<steer_instance, forget_instance, take_restart_slot, give_restart_slot>;

// -- asked of STATS -------------------------------------------------------------------------------

/// How are queue and ledger?
struct health_query {
  std::vector<health_cause> causes; ///< why the service as a whole is degraded
  bool in_full = false;             ///< an administrator asks: with the words of the database
};

// -- asked of ADMIN -------------------------------------------------------------------------------

/// As what metrics are written.
enum class metrics_format : uint8_t {
  prometheus,   ///< Prometheus' text format 0.0.4
  open_metrics, ///< OpenMetrics 1.0.0
};

/// Everything that the service measures about itself.
struct metrics_query {
  metrics_format format = metrics_format::prometheus;
};

/// What has happened to the service, as `json`, `csv` or `ndjson`.
struct lifecycle_query {
  std::string format = "json";
};

using service_query = std::variant<metrics_query, lifecycle_query>;

// -- asking ---------------------------------------------------------------------------------------

/// Set by whoever waits for an answer when it no longer does; any thread.
using gone_flag = std::shared_ptr<std::atomic<bool>>;

/// The duty to answer, and what is known of the asker.
struct question_duty {
  query_reply reply;
  gone_flag asker_gone{}; ///< null: the asker always waits
  time_point asked_at = clock::now();

  bool abandoned() const { return asker_gone && asker_gone->load(std::memory_order_relaxed); }
};

/// A question and the duty to answer it.
template <class Question>
struct asked : question_duty {
  asked(Question what_is_asked, query_reply to, gone_flag gone = {})
    : question_duty{std::move(to), std::move(gone)},
      question(std::move(what_is_asked)) {}

  Question question;
};

template <class Question>
using asked_ptr = std::shared_ptr<asked<Question>>;

} // namespace phi
