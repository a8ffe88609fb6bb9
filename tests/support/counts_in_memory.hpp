#pragma once
/// Counts of events without a database: cubes of some of them, as they are read back, and the
/// others one by one.

#include "server/statistics/cube_builder.hpp"
#include "server/statistics/cube_format.hpp"
#include "server/statistics/tally.hpp"

#include <map>
#include <vector>

namespace phi::testing {

inline int32_t utc_day_of(const event& e) {
  return static_cast<int32_t>(statistics::day_of_slot(statistics::slot_of(e.time_us)));
}

class counts_in_memory : public statistics::tally_source {
public:
  /// `events` must outlive it. Every `parts`th event is in no cube, and each day is in `parts`
  /// cubes.
  explicit counts_in_memory(const std::vector<event>& events, size_t parts = 3) {
    std::map<std::pair<int32_t, size_t>, statistics::cube_builder> builders;
    for (size_t i = 0; i < events.size(); ++i)
      if (i % (parts + 1) == parts)
        tail_.push_back(&events[i]);
      else
        builders.try_emplace({utc_day_of(events[i]), i % (parts + 1)}, utc_day_of(events[i]))
          .first->second.add(statistics::counted(events[i]));
    for (auto& [day, builder] : builders)
      cubes_.push_back(statistics::write_cube(builder.take()));
  }

  /// A cube has the parts that were asked for, and no others.
  void read(statistics::count_reader& reader) override {
    ++reads;
    reader.begin();
    for (const auto& bytes : cubes_)
      if (auto parts = reader.parts_of(statistics::read_cube(bytes, 0).day))
        reader.add(statistics::read_cube(bytes, *parts));
    for (const auto* e : tail_)
      reader.add(statistics::counted(*e));
  }

  int reads = 0;

private:
  std::vector<std::string> cubes_;
  std::vector<const event*> tail_;
};

} // namespace phi::testing
