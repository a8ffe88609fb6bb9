#pragma once
/// A part of what the writer derives from the rows, and when it is tried again after it has failed.

#include "server/store/sqlite/connection.hpp"

#include <algorithm>
#include <chrono>

namespace phi::store {

class derived_part {
public:
  /// Does `work` within a transaction, unless that is doomed or the part has to wait. Throws as
  /// `work` does.
  template <class Work>
  void attempt(sqlite_connection& db, Work work) {
    if (clock::now() < next_ || db.is_doomed())
      return;
    try {
      work();
    } catch (const sqlite_error&) {
      if (db.is_doomed())
        has_met_lost_page();
      throw;
    }
    if (db.is_doomed())
      has_met_lost_page();
    else
      pause_ = first_pause;
  }

private:
  using clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds first_pause{500}, longest_pause{64'000};

  /// What lies on the page is known now, and is left alone the next time. Where it is not it will
  /// be met again and again, so the pauses get longer.
  void has_met_lost_page() {
    next_ = clock::now() + pause_;
    pause_ = std::min(2 * pause_, longest_pause);
  }

  clock::time_point next_{};
  std::chrono::milliseconds pause_ = first_pause;
};

} // namespace phi::store
