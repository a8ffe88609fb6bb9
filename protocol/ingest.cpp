#include "protocol/ingest.hpp"

namespace phi {

ingest_turn::~ingest_turn() {
  std::vector<ingest_answer> forgotten;
  for (const auto& request : requests)
    if (request.awaited)
      forgotten.push_back({request.to, {.error = error_code::stopping, .retry_after_s = 1}});
  if (replies && !forgotten.empty())
    replies->deliver(std::move(forgotten));
}

} // namespace phi
