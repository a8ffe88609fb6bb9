#pragma once
/// How many live events may be on their way while the spool is being emptied, so that it gets
/// empty: the spool takes events faster than a database does, and a database that is well may still
/// be too slow for all that come. No actor, no clock: times are given.
///
/// What the database takes out of the spool gives credit for half as many live events. A batch sets
/// out, wherever to, when there is credit for all of it: should it end in the spool, it uses it up;
/// what the database takes at once uses nothing. So the spool gets at most half of what leaves it,
/// and a reserve. Where there is no credit senders wait, as they would without a spool.
///
/// (STATS lets a request go now and then also without: nobody waits for ever.)
///
/// That holds while the database takes what is in the spool. When it does not, for a while, or says
/// no, the spool is there for all that comes.

#include "protocol/time.hpp"

#include <algorithm>
#include <cstdint>

namespace phi {

class drain_credit {
public:
  /// The database took so many events out of the spool, within `took`. `patience`: for so long no
  /// further ones are no sign against it, and for twice as long as these took.
  void replayed(uint64_t events, duration took, duration patience, time_point now) {
    if (now >= until_)
      halves_ = 0;
    until_ = now + patience + 2 * took;
    halves_ += static_cast<int64_t>(events);
  }

  /// So many events have gone into the spool.
  void spooled(uint64_t events, time_point now) {
    if (now < until_)
      halves_ -= 2 * static_cast<int64_t>(events);
  }

  /// The spool is empty: so many live events may go there, should the database be late with them.
  void refill(size_t events) { halves_ = std::max(halves_, 2 * static_cast<int64_t>(events)); }

  /// The database says no.
  void over() { until_ = {}; }

  /// Whether live events are held back if there is no credit for them; until `until`.
  bool holds(time_point now) const { return now < until_; }
  time_point until() const { return until_; }

  /// For how many events there is credit now; what is beyond `most` is not kept. While `holds`.
  size_t left(size_t most) {
    halves_ = std::min(halves_, 2 * static_cast<int64_t>(most));
    return static_cast<size_t>(std::max<int64_t>(0, halves_) / 2);
  }

private:
  /// In half events. Below 0: more has gone into the spool than there was credit for.
  int64_t halves_ = 0;
  time_point until_{};
};

} // namespace phi
