#pragma once
/// Nobody leaves before those whom it serves are gone or killed, and nobody at all before a stop.

#include "tests/simulation/observed.hpp"

#include <map>

namespace phi::simulation {

class stop_order_checker : public checker {
public:
  stop_order_checker() : checker("stop_order_checker") {}

  void actor_gone(const seen_world& world, const seen_process& process, const std::string& actor,
                  bool well) override {
    if (!well || actor == actor_name::supervisor)
      return;
    if (!process.stop_began)
      return complain(process, actor + " has left, and nobody has told it to");
    for (const auto* user : users_of(actor))
      if (world.on.lives(process.id, user) && !is_killed(process, user))
        complain(process, actor + " has left before " + user);
  }

  void process_ended(const seen_world& world, const seen_process& process) override {
    if (process.ended == ending::by_itself)
      for (auto actor : actor_name::all)
        if (actor != actor_name::supervisor && world.on.lives(process.id, actor))
          complain(process, "has ended, and " + std::string{actor} + " lives");
  }

private:
  /// Said here once more, so that a change of the table in the service is seen.
  static const std::vector<const char*>& users_of(const std::string& actor) {
    using namespace actor_name;
    static const std::map<std::string, std::vector<const char*>> users{
      {actor_name::stats, {http}},
      {actor_name::reader, {http}},
      {actor_name::spool, {stats}},
      {actor_name::store, {stats, reader, inspector, spool}},
      {actor_name::membership, {store, maintenance}},
      {actor_name::watchdog, {store, membership}},
      {actor_name::signal, {watchdog}},
      {actor_name::admin, {signal}}};
    static const std::vector<const char*> nobody;
    auto found = users.find(actor);
    return found == users.end() ? nobody : found->second;
  }

  static bool is_killed(const seen_process& process, const std::string& actor) {
    for (const auto& row : process.draft.actors)
      if (row.actor == actor)
        return row.killed.has_value();
    return false;
  }
};

} // namespace phi::simulation
