#include "actors/health_causes.hpp"

#include "protocol/text/duration.hpp"

#include <algorithm>

namespace phi {
namespace {

bool is_running(const service_status& status) {
  return status.state == service_state::ready || status.state == service_state::lame_duck
         || status.state == service_state::reloading;
}

/// Who of the actors that take events in does not work.
class workers {
public:
  explicit workers(const health_signs& seen) : seen_(seen) {}

  bool refuse() const {
    const auto* stats = find(actor_name::stats);
    return !works(stats) || (stats && stats->says && stats->says->gauge(gauge_name::refusing) > 0)
           || (!works(find(actor_name::store))
               && !(find(actor_name::spool) && works(find(actor_name::spool))));
  }

private:
  const child_status* find(std::string_view name) const {
    for (const auto& child : seen_.status->children)
      if (child.actor == name)
        return &child;
    return nullptr;
  }

  bool works(const child_status* child) const {
    return !child
           || (child->state == actor_state::running
               && std::none_of(seen_.late.begin(), seen_.late.end(),
                               [&](const auto& late) { return late.first.name == child->actor; }));
  }

  const health_signs& seen_;
};

} // namespace

health_cause cause_of(const actor_status& status) {
  return {status.actor, cause_kind::degraded, status.degraded,
          status.ails.empty() ? "is degraded" : status.ails, status.code};
}

health_view judge(const health_signs& seen) {
  health_view out;
  if (seen.status && !is_running(*seen.status))
    return out; // a start or a stop has words of its own
  // What somebody does is for operators: it may name hosts and files.
  auto add_silent = [&](const std::string& who, duration silent, const std::string& doing,
                        const std::string& part) {
    auto why = "has not answered for " + show_duration(silent);
    out.causes.push_back({.who = who,
                          .kind = cause_kind::silent,
                          .why = why + (doing.empty() ? "" : " (" + doing + ")"),
                          .why_in_short = why,
                          .part = part});
  };
  for (const auto& [who, doing] : seen.late)
    add_silent(who.name, who.silent, doing, {});
  if (seen.status)
    for (const auto& child : seen.status->children) {
      if (child.state != actor_state::running) {
        auto why = "is " + std::string{to_string(child.state)};
        out.causes.push_back({child.actor, cause_kind::not_running, why, why});
      }
      if (child.says && !child.says->degraded.empty())
        out.causes.push_back(cause_of(*child.says));
    }
  for (const auto& part : seen.outside)
    if (part.silent >= seen.patience)
      add_silent(part.name, part.silent, part.doing, part.part);
  out.refuses_events = seen.status && workers{seen}.refuse();
  return out;
}

health_changes::told health_changes::compare(const health_view& view, time_point at) {
  told out;
  std::set<std::string> seen;
  for (const auto& cause : view.causes) {
    seen.insert(cause.who);
    if (known_.contains(cause.who))
      continue;
    if (known_.empty() && out.begun.empty())
      since_ = at;
    out.begun.push_back(cause);
  }
  out.over = seen.empty() && !known_.empty();
  out.lasted = at - since_;
  known_ = std::move(seen);
  return out;
}

} // namespace phi
