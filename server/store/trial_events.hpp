#pragma once
/// Events of ours that show whether a database takes anything at all. Somebody may have made rules
/// of his own for what may be stored, which ours does not obey either; so the last event that was
/// taken is kept as a pattern.

#include "protocol/ingest.hpp"

#include <optional>
#include <vector>

namespace phi::store {

class trial_events {
public:
  /// The database has just committed the batch, but for what the result names.
  void committed(const commit_batch& batch, const commit_result& result) {
    auto refused = result.refused.begin();
    for (uint32_t r = 0; r < batch.requests.size(); ++r)
      for (uint32_t i = 0; i < batch.requests[r].events.size(); ++i)
        if (refused == result.refused.end() || refused->request != r || refused++->at != i) {
          last_ = batch.requests[r].events[i];
          return;
        }
  }

  /// A plain event, and one like the last that was committed; nobody else has this identity.
  std::vector<event> made(const digest& identity, int64_t now_us) const {
    event plain;
    plain.feature = "phi.probe";
    std::vector<event> out{plain};
    if (last_)
      out.push_back(*last_);
    for (auto& trial : out) {
      trial.time_us = now_us;
      trial.identity = identity;
    }
    return out;
  }

private:
  std::optional<event> last_;
};

} // namespace phi::store
