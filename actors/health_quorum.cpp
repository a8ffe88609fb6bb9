#include "actors/health_quorum.hpp"

#include <algorithm>

namespace phi {

health_quorum::member* health_quorum::find(const std::string& name) {
  auto at = std::find_if(members_.begin(), members_.end(), [&](auto& m) { return m.name == name; });
  return at == members_.end() ? nullptr : &*at;
}

const health_quorum::member* health_quorum::find(const std::string& name) const {
  return const_cast<health_quorum*>(this)->find(name);
}

void health_quorum::watch(const std::string& name, time_point now) {
  forget(name);
  members_.push_back({.name = name, .last_sign = now});
}

void health_quorum::forget(const std::string& name) {
  std::erase_if(members_, [&](const member& m) { return m.name == name; });
}

void health_quorum::pinged(const std::string& name) {
  if (auto* m = find(name))
    m->pending = true;
}

void health_quorum::sign(member& m, time_point now) {
  m.last_sign = now;
  m.waited_at_sign = m.waited;
}

void health_quorum::answered(const std::string& name, uint64_t progress, time_point now) {
  if (auto* m = find(name)) {
    m->pending = false;
    m->progress = progress;
    sign(*m, now);
  }
}

void health_quorum::seen(const std::string& name, uint64_t progress, duration waited,
                         time_point now) {
  auto* m = find(name);
  if (!m)
    return;
  // Another thread may have taken it over: then the figures do not compare.
  if (waited < m->waited)
    m->waited_at_sign = waited;
  m->waited = waited;
  if (m->progress != progress || !m->pending) {
    m->progress = progress;
    sign(*m, now);
  }
}

void health_quorum::stood_still(duration how_long) {
  for (auto& m : members_)
    m.last_sign += how_long;
}

bool health_quorum::pending(const std::string& name) const {
  const auto* m = find(name);
  return m && m->pending;
}

std::vector<health_quorum::late_member> health_quorum::late(time_point now) const {
  std::vector<late_member> out;
  for (const auto& m : members_) {
    if (!m.pending)
      continue;
    auto starved = m.waited - m.waited_at_sign;
    auto silent = now - m.last_sign - starved;
    if (silent >= patience_)
      out.push_back({m.name, silent, starved, silent >= limit_});
  }
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.silent > b.silent; });
  return out;
}

bool health_quorum::complete() const {
  return std::none_of(members_.begin(), members_.end(), [](auto& m) { return m.pending; });
}

} // namespace phi
