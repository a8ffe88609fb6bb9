#pragma once
/// From those who read cubes to the one who writes them.

#include <cstdint>
#include <mutex>
#include <set>
#include <utility>

namespace phi::store {

/// UTC days whose cubes somebody found damaged: they are to be made again. Any thread.
class damaged_days {
public:
  void add(int32_t day) {
    std::lock_guard lock{mutex_};
    days_.insert(day);
  }
  std::set<int32_t> take() {
    std::lock_guard lock{mutex_};
    return std::exchange(days_, {});
  }
  bool empty() const {
    std::lock_guard lock{mutex_};
    return days_.empty();
  }

private:
  mutable std::mutex mutex_;
  std::set<int32_t> days_;
};

} // namespace phi::store
