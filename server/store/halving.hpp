#pragma once
/// Which events of a batch a database refuses: halving down to them. The same for every store;
/// knows nothing of any.

#include "protocol/ingest.hpp"
#include "protocol/outcome.hpp"

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace phi::store {

/// What is stored whole or not at all: one event, or all of a request that is atomic.
struct batch_piece {
  uint32_t request = 0; ///< of the batch
  uint32_t first = 0;   ///< event of that request
  uint32_t events = 0;
};

/// The pieces of the requests [first, last) of a batch, in order.
std::vector<batch_piece> pieces_of(const commit_batch& batch, size_t first, size_t last);
inline std::vector<batch_piece> pieces_of(const commit_batch& batch) {
  return pieces_of(batch, 0, batch.requests.size());
}

inline std::span<const event> events_of(const commit_batch& batch, const batch_piece& piece) {
  return std::span{batch.requests[piece.request].events}.subspan(piece.first, piece.events);
}

/// Goes through the events of some pieces, one after the other.
class event_walk {
public:
  event_walk(const commit_batch& batch, std::span<const batch_piece> pieces)
    : batch_(batch),
      pieces_(pieces) {}

  /// Null: there are no more.
  const event* next() {
    while (piece_ < pieces_.size() && event_ >= pieces_[piece_].events) {
      ++piece_;
      event_ = 0;
    }
    return piece_ < pieces_.size() ? &events_of(batch_, pieces_[piece_])[event_++] : nullptr;
  }

private:
  const commit_batch& batch_;
  std::span<const batch_piece> pieces_;
  size_t piece_ = 0;
  size_t event_ = 0;
};

/// Some of these pieces that lie evenly between all of them: at most `most`.
std::vector<batch_piece> spread_of(std::span<const batch_piece> pieces, size_t most);

/// So many pieces are tried alone before the database itself is at fault: it refuses all of them,
/// and an event of ours that nothing is wrong with as well.
inline constexpr size_t trial_pieces = 256;

/// Whether it is written down that the database refuses this piece.
bool is_told(const commit_result& result, const batch_piece& piece);

/// Writes down that the database refuses this piece, and why.
void refuse(commit_result& result, const batch_piece& piece, const std::string& why);

/// Takes all pieces but those that are refused. `take(pieces)` puts neighbouring pieces on top of
/// what it took before, or leaves all as it was and says why not; what it throws ends the search.
/// `refused(piece, why)` is told of each one that could not be taken alone, in order. `known_bad`:
/// that all of them together are refused is known. With k culprits among n pieces `take` is called
/// at most 2 k (log2 n + 1) times. Whether all were taken.
template <class Take, class Refused>
bool take_all_but_culprits(std::span<const batch_piece> pieces, bool known_bad, Take& take,
                           Refused& refused) {
  if (pieces.empty())
    return true;
  if (!known_bad || pieces.size() == 1) {
    outcome taken = take(pieces);
    if (taken)
      return true;
    if (pieces.size() == 1) {
      refused(pieces.front(), taken.why());
      return false;
    }
  }
  auto half = pieces.size() / 2;
  bool first_is_good = take_all_but_culprits(pieces.first(half), false, take, refused);
  return take_all_but_culprits(pieces.subspan(half), first_is_good, take, refused) && first_is_good;
}

} // namespace phi::store
