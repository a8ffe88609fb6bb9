#include "server/store/spool/spool_front.hpp"

#include "actors/log.hpp"
#include "server/platform/digest.hpp"
#include "server/store/spool/packed_events.hpp"

#include <algorithm>
#include <utility>

namespace phi::store {
namespace {

/// The id of the batch that keeps what was refused of the batch with this id.
std::string id_of_refused(const std::string& id) {
  auto out = identity_digest{}.of("refused", id);
  return {reinterpret_cast<const char*>(out.data()), out.size()};
}

/// The row that keeps what the database has `refused` of one batch, by their places in it; it has
/// no number yet. Nothing when an earlier try has written it, or when the batch has gone.
std::optional<kept_batch> row_of_refused(sqlite_connection& db, const front_batch& from,
                                         std::span<const refused_event> refused) {
  auto id = id_of_refused(from.id);
  if (number_of(db, id))
    return std::nullopt;
  const auto& why = refused.front().detail;
  statement ask{db, select_kept + "WHERE seq = ?1"};
  if (!ask.bind(1, from.seq).step()) {
    log_error("spool", "cannot keep events that the database has refused: their batch has gone",
              {{"batch", from.seq}, {"events", refused.size()}, {"cause", why}});
    return std::nullopt;
  }
  auto whole = read_row(ask);
  auto events = unpack_events(whole.body);
  commit_batch rest;
  auto& kept = rest.requests.emplace_back().events;
  for (const auto& event : refused)
    kept.push_back(std::move(events.at(event.at)));
  kept_batch row{.id = id,
                 .taken_us = whole.taken_us,
                 .events = static_cast<int64_t>(kept.size()),
                 .body = pack_events(rest),
                 .aside = why};
  row.checksum = hex_digest(row.body);
  return row;
}

} // namespace

std::optional<int64_t> number_of(sqlite_connection& db, const std::string& id) {
  statement there{db, "SELECT seq FROM batch WHERE id = ?1"};
  if (!there.bind_blob(1, id.data(), id.size()).step())
    return std::nullopt;
  return there.integer(0);
}

std::vector<front_batch> delete_rows(sqlite_connection& db, const std::vector<front_batch>& front) {
  std::vector<front_batch> out;
  statement gone{db, "DELETE FROM batch WHERE seq = ?1"};
  for (const auto& batch : front) {
    gone.bind(1, batch.seq).execute();
    if (db.changes() > 0)
      out.push_back(batch);
  }
  return out;
}

std::vector<kept_batch> rows_of_refused(sqlite_connection& db,
                                        const std::vector<front_batch>& front,
                                        std::span<const refused_event> refused, int64_t& next) {
  std::vector<kept_batch> out;
  while (!refused.empty()) {
    auto request = refused.front().request;
    auto end = std::find_if(refused.begin(), refused.end(),
                            [&](const auto& event) { return event.request != request; });
    auto some = refused.first(static_cast<size_t>(end - refused.begin()));
    if (auto row = row_of_refused(db, front.at(request), some)) {
      row->seq = next++;
      out.push_back(std::move(*row));
    }
    refused = refused.subspan(some.size());
  }
  return out;
}

std::optional<spool_depth> depth_without(spool_depth depth, const std::vector<front_batch>& gone) {
  for (const auto& batch : gone) {
    if (batch.aside || depth.batches == 0 || depth.events < batch.events
        || depth.bytes < batch.bytes)
      return std::nullopt;
    --depth.batches;
    depth.events -= batch.events;
    depth.bytes -= batch.bytes;
  }
  return depth;
}

} // namespace phi::store
