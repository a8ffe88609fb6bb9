#pragma once
/// What was acknowledged is stored, once, or kept where an operator finds it; what was refused is
/// not stored and never will be; of what nobody knows either may be.

#include "tests/simulation/observed.hpp"

#include <algorithm>

namespace phi::simulation {

class exactly_once_checker : public checker {
public:
  exactly_once_checker() : checker("exactly_once_checker") {}

  void answered(const seen_world& world, const seen_request& request,
                const ingest_outcome& outcome) override {
    if (request.question || outcome.error == error_code::outcome_unknown)
      return;
    if (outcome.error != error_code::none)
      return check_refused(world, request);
    auto told = outcome.stored + outcome.duplicates + outcome.refused.size();
    if (told != request.identities.size())
      complain("request " + std::to_string(request.number) + " has "
               + std::to_string(request.identities.size()) + " events, and is told of "
               + std::to_string(told));
    // Of a batch that is known only the sum is: who was told what is then a matter of order.
    if (outcome.duplicates > 0 && world.stored.shared && !is_anything_sent_again(world))
      complain("request " + std::to_string(request.number)
               + " is told that its events are known, and nobody had sent them before");
    auto instance = world.processes.at(request.process).instance;
    for (uint32_t i = 0; i < request.identities.size(); ++i) {
      const auto& identity = request.identities[i];
      bool there = world.stored.holds(identity)
                   || (outcome.spooled && world.disks.at(instance)->holds(identity))
                   || is_refused(outcome, i);
      if (!there)
        complain("request " + std::to_string(request.number) + " is acknowledged"
                 + (outcome.spooled ? " as spooled" : "") + ", and is nowhere");
    }
  }

  void run_ended(const seen_world& world) override {
    std::set<digest> acknowledged;
    std::set<digest> possible;
    std::set<digest> refused;
    for (const auto& [number, request] : world.requests)
      for (uint32_t i = 0; i < request.identities.size() && !request.question; ++i) {
        const auto& identity = request.identities[i];
        bool in_doubt = !request.said || request.said->error == error_code::outcome_unknown;
        bool no =
          !in_doubt && (request.said->error != error_code::none || is_refused(*request.said, i));
        (in_doubt ? possible : no ? refused : acknowledged).insert(identity);
      }
    for (const auto& identity : acknowledged)
      if (!world.stored.holds(identity) && !is_kept(world, identity))
        complain("an acknowledged event is lost");
    for (const auto& identity : refused)
      if (world.stored.holds(identity) && !acknowledged.contains(identity)
          && !possible.contains(identity))
        complain("a refused event is stored");
    for (const auto& [identity, times] : world.stored.rows)
      if (times != 1)
        complain("an event is stored " + std::to_string(times) + " times");
  }

private:
  /// Nobody but this request can have brought its events there.
  void check_refused(const seen_world& world, const seen_request& request) {
    bool stored = std::any_of(request.identities.begin(), request.identities.end(),
                              [&](const digest& one) { return world.stored.holds(one); });
    if (stored && !is_sent_again(world, request))
      complain("request " + std::to_string(request.number) + " is refused, and is stored");
  }

  static bool is_anything_sent_again(const seen_world& world) {
    std::set<digest> known;
    for (const auto& [number, request] : world.requests)
      for (const auto& identity : request.identities)
        if (!known.insert(identity).second)
          return true;
    return false;
  }

  /// Whether another request has events of this one.
  static bool is_sent_again(const seen_world& world, const seen_request& request) {
    for (const auto& [number, other] : world.requests)
      for (const auto& identity : other.identities)
        if (number != request.number
            && std::find(request.identities.begin(), request.identities.end(), identity)
                 != request.identities.end())
          return true;
    return false;
  }
  static bool is_refused(const ingest_outcome& outcome, uint32_t at) {
    return std::any_of(outcome.refused.begin(), outcome.refused.end(),
                       [&](const refused_event& one) { return one.at == at; });
  }
  static bool is_kept(const seen_world& world, const digest& identity) {
    return std::any_of(world.disks.begin(), world.disks.end(),
                       [&](const auto& disk) { return disk->holds(identity); });
  }
};

} // namespace phi::simulation
