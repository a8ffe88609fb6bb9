#pragma once
/// Cubes that are not what was written: from those who read them to the one who writes them.

#include "protocol/text/rfc3339.hpp"
#include "server/statistics/packing.hpp"

#include <cstdint>
#include <mutex>
#include <set>
#include <utility>

namespace phi::store {

/// A cube that is not what was written, and whose.
class damaged_day : public statistics::damaged_cube {
public:
  explicit damaged_day(int32_t day)
    : damaged_cube("what was counted of " + format_date(day) + " is damaged"),
      day_(day) {}
  int32_t day() const { return day_; }

private:
  int32_t day_;
};

/// A cube that is whole, and of a version that this program does not know; and whose.
class newer_day : public std::runtime_error {
public:
  newer_day(int32_t day, const statistics::newer_cube& cube)
    : std::runtime_error("what was counted of " + format_date(day)
                         + " cannot be read: " + cube.what()),
      day_(day) {}
  int32_t day() const { return day_; }

private:
  int32_t day_;
};

/// UTC days whose cubes somebody found damaged: they are to be made again. Any thread.
class damaged_days {
public:
  void add(int32_t day) {
    std::lock_guard lock{mutex_};
    days_.insert(day);
  }
  void remove(int32_t day) {
    std::lock_guard lock{mutex_};
    days_.erase(day);
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
