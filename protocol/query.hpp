#pragma once
/// Questions about what was counted.

#include "protocol/reply.hpp"
#include "protocol/time.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace phi {

enum class query_kind : uint8_t {
  daily,
  daily_features,
  summary,
  // An operator's: on the admin socket only.
  events, ///< the last ones, or those behind `after`
  verify, ///< roll-ups against rows
  backup, ///< a copy to `file`
  spool_show,
  spool_check,       ///< reads every batch of the spool
  spool_requeue,     ///< what was set aside is tried again
  cluster_want,      ///< `instance` should be in state `text`: "drain" or "ready"
  cluster_take_turn, ///< this instance may go down now, and no other
  cluster_give_turn,
  cluster_forget, ///< `instance` will not come back
  // Also on HTTP.
  cluster, ///< the instances that share the database
};

/// What `include=` of a summary asks for.
struct summary_parts {
  bool routes = false;
  bool methods = false;
  bool status = false;
  bool instances = false;
  bool actions = false;
  bool latency = false;
  bool unique_ips = false;
  bool user_kinds = false;
};

/// A valid question. Days are days since 1970-01-01 in `zone`, both ends included.
struct query {
  query_kind kind = query_kind::daily;
  std::string zone = "UTC";
  std::optional<int32_t> first_day;
  std::optional<int32_t> last_day;
  std::optional<std::string> feature;
  std::optional<std::string> route;
  std::optional<std::string> method;
  summary_parts include;
  uint32_t top = 20;
  std::optional<int64_t> after; ///< of `events`
  bool over_gaps = false;       ///< of `events`: not only up to a number that is still missing
  std::string file;             ///< of `backup`
  std::string instance;         ///< of `cluster_...`
  std::string text;
  std::vector<std::string> causes; ///< of a question about health: why it is degraded as a whole
  bool in_full = false;            ///< of such a question: an administrator asks
};

/// Set by whoever waits for an answer when it no longer does; any thread.
using gone_flag = std::shared_ptr<std::atomic<bool>>;

/// A question and the duty to answer it.
struct asked_query {
  query what;
  query_reply reply;
  gone_flag asker_gone{}; ///< null: the asker always waits
  time_point asked_at = clock::now();

  bool abandoned() const { return asker_gone && asker_gone->load(std::memory_order_relaxed); }
};

using asked_query_ptr = std::shared_ptr<asked_query>;

} // namespace phi
