#include "config/merge.hpp"

#include "config/keys.hpp"

#include <algorithm>
#include <array>

namespace phi {
namespace {

// What is open or fixed while the service runs: sockets, files, threads, paths, and the key of the
// hashes, which must not change within a day.
constexpr std::array<std::string_view, 18> fixed{
  "server.host",        "server.port",      "server.state_dir",
  "server.instance",    "server.threads",   "server.max_connections",
  "api.prefix",         "stats.enabled",    "stats.storage",
  "stats.sqlite_path",  "stats.sqlite_wal", "stats.user_hash_salt",
  "stats.durability",   "admin.socket",     "admin.group",
  "stats.postgres_url", "spool.enabled",    "spool.path",
};

bool same(const secret& a, const secret& b) {
  return a.value == b.value;
}
template <class T>
bool same(const T& a, const T& b) {
  return a == b;
}

/// Calls `work` with the two values of one key, which have the same type.
template <class Work>
void with_both(const key_target& a, const key_target& b, Work work) {
  std::visit([&](auto* left) { work(*left, *std::get<decltype(left)>(b)); }, a);
}

} // namespace

std::span<const std::string_view> restart_keys() {
  return fixed;
}

merged_config merge(const config& running, const config& wanted) {
  merged_config out{.next = wanted};
  auto before = running; // the keys' places are not const
  for (const auto& key : all_keys()) {
    auto from = key.in(before);
    auto to = key.in(out.next);
    bool unchanged = false;
    with_both(from, to, [&](auto& a, auto& b) { unchanged = same(a, b); });
    if (unchanged)
      continue;
    auto change =
      std::string{key.path} + ": " + show_value(key, running) + " -> " + show_value(key, wanted);
    if (std::find(fixed.begin(), fixed.end(), key.path) == fixed.end()) {
      out.changed.push_back(std::move(change));
    } else {
      out.needs_restart.push_back(std::move(change));
      with_both(to, from, [](auto& to_here, auto& kept) { to_here = kept; });
    }
  }
  auto start_at = wanted.resolved.start_at_us;
  out.next.resolved = running.resolved; // paths and names need a restart
  out.next.resolved.start_at_us = start_at;
  return out;
}

} // namespace phi
