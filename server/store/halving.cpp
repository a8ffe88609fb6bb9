#include "server/store/halving.hpp"

#include <algorithm>

namespace phi::store {

std::vector<batch_piece> pieces_of(const commit_batch& batch, size_t first, size_t last) {
  std::vector<batch_piece> out;
  for (auto r = static_cast<uint32_t>(first); r < last; ++r) {
    auto events = static_cast<uint32_t>(batch.requests[r].events.size());
    if (batch.requests[r].atomic && events > 0)
      out.push_back({r, 0, events});
    else
      for (uint32_t i = 0; i < events; ++i)
        out.push_back({r, i, 1});
  }
  return out;
}

std::vector<batch_piece> spread_of(std::span<const batch_piece> pieces, size_t most) {
  std::vector<batch_piece> out;
  auto count = std::min(pieces.size(), most);
  for (size_t i = 0; i < count; ++i)
    out.push_back(pieces[i * pieces.size() / count]);
  return out;
}

bool is_told(const commit_result& result, const batch_piece& piece) {
  return std::any_of(result.refused.begin(), result.refused.end(), [&](const auto& told) {
    return told.request == piece.request && told.at == piece.first;
  });
}

void refuse(commit_result& result, const batch_piece& piece, const std::string& why) {
  result.requests[piece.request].refused += piece.events;
  auto code = piece.events > 1 ? error_code::atomic_refused : error_code::refused_by_store;
  for (uint32_t i = 0; i < piece.events; ++i)
    result.refused.push_back({piece.request, piece.first + i, code, why});
}

} // namespace phi::store
