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

void health_quorum::answered(const std::string& name, uint64_t progress, time_point now) {
  if (auto* m = find(name)) {
    m->pending = false;
    m->progress = progress;
    m->last_sign = now;
  }
}

void health_quorum::seen(const std::string& name, uint64_t progress, time_point now) {
  if (auto* m = find(name); m && m->progress != progress) {
    m->progress = progress;
    m->last_sign = now;
  }
}

bool health_quorum::pending(const std::string& name) const {
  const auto* m = find(name);
  return m && m->pending;
}

std::vector<health_quorum::late_member> health_quorum::late(time_point now) const {
  std::vector<late_member> out;
  for (const auto& m : members_)
    if (m.pending)
      out.push_back({m.name, now - m.last_sign, now - m.last_sign >= limit_});
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.silent > b.silent; });
  return out;
}

} // namespace phi
