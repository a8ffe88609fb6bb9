#include "server/store/spool/spool_questions.hpp"

#include "protocol/text/rfc3339.hpp"
#include "server/store/spool/spooled_rows.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace phi::store {
namespace {

using json = nlohmann::ordered_json;

/// Of what is missing, or set aside, so many are named.
constexpr size_t most_named = 100;

constexpr auto totals = "SELECT count(*) FILTER (WHERE aside IS NULL),"
                        " coalesce(sum(events) FILTER (WHERE aside IS NULL), 0),"
                        " coalesce(sum(length(body)), 0), count(aside),"
                        " coalesce(sum(events) FILTER (WHERE aside IS NOT NULL), 0),"
                        " count(*) FILTER (WHERE tried_us > 0),"
                        " min(taken_us) FILTER (WHERE aside IS NULL) FROM batch";

} // namespace

spool_depth depth_of(sqlite_connection& db) {
  statement ask{db, totals};
  ask.step();
  auto number = [&](int column) { return static_cast<uint64_t>(ask.integer(column)); };
  return {.batches = number(0),
          .events = number(1),
          .bytes = number(2),
          .set_aside = number(3),
          .aside_events = number(4),
          .deferred = number(5)};
}

json show_spool(sqlite_connection& db) {
  statement ask{db, totals};
  ask.step();
  json aside = json::array();
  statement list{db, "SELECT seq, taken_us, events, aside, tried_us FROM batch"
                     " WHERE aside IS NOT NULL ORDER BY seq LIMIT ?1"};
  list.bind(1, static_cast<int64_t>(most_named));
  while (list.step())
    aside.push_back({{"batch", list.integer(0)},
                     {"takenAt", format_rfc3339(list.integer(1))},
                     {"events", list.integer(2)},
                     {"why", list.text(3)},
                     {"triedAgain", list.integer(4) > 0}});
  return {{"batches", ask.integer(0)},
          {"events", ask.integer(1)},
          {"bytes", ask.integer(2)},
          {"oldestAt", ask.null(6) ? json{} : json(format_rfc3339(ask.integer(6)))},
          {"setAsideBatches", ask.integer(3)},
          {"setAsideEvents", ask.integer(4)},
          {"setAside", std::move(aside)}};
}

json check_spool(sqlite_connection& db, const std::vector<indexed_batch>& missing) {
  json damaged = json::array();
  int64_t batches = 0;
  int64_t events = 0;
  statement all{db, select_kept + "ORDER BY seq"};
  while (all.step()) {
    auto kept = read_row(all);
    ++batches;
    events += kept.events;
    if (auto whole = kept.check(); !whole)
      damaged.push_back({{"batch", kept.seq}, {"events", kept.events}, {"why", whole.why()}});
  }
  json gone = json::array();
  for (size_t i = 0; i < std::min(missing.size(), most_named); ++i)
    gone.push_back({{"batch", missing[i].number}, {"events", missing[i].events}});
  bool sound = damaged.empty() && missing.empty();
  return {{"batches", batches},
          {"events", events},
          {"ok", sound},
          {"damaged", std::move(damaged)},
          {"missingBatches", missing.size()},
          {"missingEvents", events_of(missing)},
          {"missing", std::move(gone)}};
}

} // namespace phi::store
