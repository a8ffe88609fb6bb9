#pragma once
/// Several readers of counts as one, so that what was counted is read once for all of them.

#include "server/statistics/tally.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace phi::statistics {

class joined_readers : public count_reader {
public:
  /// It must outlive this.
  void join(count_reader& reader) { readers_.push_back(&reader); }

  void begin() override {
    for (auto* reader : readers_)
      reader->begin();
  }
  slot_range range() const override {
    slot_range out;
    for (const auto* reader : readers_)
      if (auto more = reader->range(); !more.empty())
        out = out.empty()
                ? more
                : slot_range{std::min(out.begin, more.begin), std::max(out.end, more.end)};
    return out;
  }
  std::optional<cube_parts> parts_of(int64_t day) const override {
    std::optional<cube_parts> out;
    for (const auto* reader : readers_)
      if (auto more = reader->parts_of(day))
        out = static_cast<cube_parts>(out.value_or(0) | *more);
    return out;
  }
  void add(const cube& part) override {
    for (auto* reader : readers_)
      reader->add(part);
  }
  void add(const counted_event& e) override {
    for (auto* reader : readers_)
      reader->add(e);
  }

private:
  std::vector<count_reader*> readers_;
};

} // namespace phi::statistics
