#pragma once
/// The options of programs that make events.

#include "protocol/text/rfc3339.hpp"
#include "tools/bench/events.hpp"

#include <CLI/CLI.hpp>

#include <map>
#include <string>

namespace phi::bench {

struct event_options {
  event_wishes wishes;
  uint64_t skip = 0;
  uint64_t take = ~uint64_t{0};

  uint64_t end() const { return take < wishes.count - skip ? skip + take : wishes.count; }
};

inline void add_event_options(CLI::App& app, event_options& out) {
  static const std::map<std::string, event_mode> modes{{"live", event_mode::live},
                                                       {"history", event_mode::history},
                                                       {"backfill", event_mode::backfill},
                                                       {"bomb", event_mode::bomb},
                                                       {"constant", event_mode::constant}};
  out.wishes.until_us = wall_clock_us() - 5'000'000;
  app.add_option("mode", out.wishes.mode, "live, history, backfill, bomb or constant")
    ->required()
    ->transform(CLI::CheckedTransformer(modes));
  app.add_option("count", out.wishes.count, "Events of the series")->required();
  app.add_option("--seed", out.wishes.seed, "Other events, other ids")->capture_default_str();
  app.add_option("--days", out.wishes.days, "How far back they go; as the mode says unless given");
  app.add_option("--until-us", out.wishes.until_us,
                 "When they end, in microseconds since 1970; now unless given");
  app.add_option("--skip", out.skip, "Begin behind so many of the series")
    ->check(CLI::NonNegativeNumber);
  app.add_option("--take", out.take, "At most so many of the series");
}

} // namespace phi::bench
