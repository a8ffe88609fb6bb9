#include "server/store/spool/spool_questions.hpp"

#include "protocol/text/rfc3339.hpp"
#include "server/store/spool/spooled_rows.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>

namespace phi::store {
namespace {

using json = nlohmann::ordered_json;

/// Of what is missing, or set aside, so many are named.
constexpr size_t most_named = 100;

const auto totals = "SELECT count(*) FILTER (WHERE aside IS NULL),"
                    " coalesce(sum(events) FILTER (WHERE aside IS NULL), 0),"
                    " coalesce(sum(length(body)), 0), count(aside),"
                    " coalesce(sum(events) FILTER (WHERE aside IS NOT NULL), 0),"
                    " count(*) FILTER (WHERE "
                    + is_deferred + "), min(taken_us) FILTER (WHERE aside IS NULL) FROM batch";

struct whole_spool {
  spool_depth depth;
  std::optional<int64_t> oldest_us;
};

whole_spool totals_of(sqlite_connection& db) {
  statement ask{db, totals};
  ask.step();
  whole_spool out;
  auto& depth = out.depth;
  statistics::read_columns(ask, depth.batches, depth.events, depth.bytes, depth.set_aside,
                           depth.aside_events, depth.deferred, out.oldest_us);
  return out;
}

} // namespace

spool_depth depth_of(sqlite_connection& db) {
  return totals_of(db).depth;
}

json show_spool(sqlite_connection& db) {
  auto [depth, oldest_us] = totals_of(db);
  json aside = json::array();
  statement list{db, "SELECT seq, taken_us, events, aside, tried_us FROM batch"
                     " WHERE aside IS NOT NULL ORDER BY seq LIMIT ?1"};
  list.bind(1, static_cast<int64_t>(most_named));
  while (list.step()) {
    int64_t seq = 0, taken_us = 0, events = 0, tried_us = 0;
    std::string why;
    statistics::read_columns(list, seq, taken_us, events, why, tried_us);
    aside.push_back({{"batch", seq},
                     {"takenAt", format_rfc3339(taken_us)},
                     {"events", events},
                     {"why", why},
                     {"triedAgain", tried_us != 0}});
  }
  return {{"batches", depth.batches},
          {"events", depth.events},
          {"bytes", depth.bytes},
          {"oldestAt", oldest_us ? json(format_rfc3339(*oldest_us)) : json{}},
          {"setAsideBatches", depth.set_aside},
          {"setAsideEvents", depth.aside_events},
          {"setAside", std::move(aside)}};
}

bool check_some(sqlite_connection& db, int64_t last, spool_progress& so_far) {
  if (so_far.last < 0)
    so_far.last = last; // what comes later is not waited for
  auto until = std::chrono::steady_clock::now() + work_watch::interval;
  statement next{db, select_kept + "WHERE seq > ?1 AND seq <= ?2 ORDER BY seq"};
  next.bind(1, so_far.checked).bind(2, so_far.last);
  while (next.step()) {
    auto kept = read_row(next);
    so_far.checked = kept.seq;
    ++so_far.batches;
    so_far.events += kept.events;
    if (auto whole = kept.check(); !whole)
      so_far.damaged.push_back({kept.seq, kept.events, whole.why()});
    if (std::chrono::steady_clock::now() >= until)
      return false;
  }
  return true;
}

json show_check(const spool_progress& all, const std::vector<indexed_batch>& missing) {
  json damaged = json::array();
  for (const auto& found : all.damaged)
    damaged.push_back({{"batch", found.number}, {"events", found.events}, {"why", found.why}});
  json gone = json::array();
  for (size_t i = 0; i < std::min(missing.size(), most_named); ++i)
    gone.push_back({{"batch", missing[i].number}, {"events", missing[i].events}});
  bool sound = damaged.empty() && missing.empty();
  return {{"batches", all.batches},
          {"events", all.events},
          {"ok", sound},
          {"damaged", std::move(damaged)},
          {"missingBatches", missing.size()},
          {"missingEvents", events_of(missing)},
          {"missing", std::move(gone)}};
}

} // namespace phi::store
