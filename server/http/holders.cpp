#include "server/http/holders.hpp"

#include <algorithm>

namespace phi::http {
namespace {

constexpr auto least_interval = std::chrono::milliseconds{5};

/// "127.0.0.1:4711"
std::string address_of(const connection_link& link) {
  asio_ns::error_code error;
  auto peer = link.socket.remote_endpoint(error);
  if (error)
    return "that is gone";
  auto host = peer.address().to_string(error);
  return (peer.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(peer.port());
}

struct debtor {
  const connection_link* link = nullptr;
  const char* owes = "";
  time_point since{};
  bool follows = false; ///< on another debt, and is none of its own
};

/// What a client owes us, if it does. Whoever waits for our answer owes nothing.
debtor debt_of(const connection_link& link) {
  if (link.writing())
    return {&link, "has not read its answer", link.writing_since()};
  if (link.lingers())
    return {&link, "has not closed its refused connection", link.idle_since(), true};
  if (link.receiving())
    return {&link, "owes the rest of its request", link.request_began()};
  if (link.idle())
    return {&link, "keeps its connection open", link.idle_since()};
  return {};
}

} // namespace

void holders::begin(time_point now) {
  std::lock_guard lock{mutex_};
  began_ = now;
}

void holders::inspect(const exchange_table& exchanges, link_registry& links, time_point now,
                      bool exactly) {
  if (!began_ || (!exactly && now - inspected_ < least_interval))
    return;
  inspected_ = now;
  std::map<std::string, held_connections> present;
  auto hold = [&](const std::string& who, wait_kind kind, time_point since,
                  const std::string& debt = {}, bool follows = false) {
    auto& at = present.try_emplace(who, held_connections{since, kind, debt, follows}).first->second;
    at.since = std::min(at.since, since);
  };
  exchanges.for_each([&](const exchange& pending) {
    if (pending.route && pending.route->serves->kind == endpoint_kind::question)
      hold(actor_name::reader, wait_kind::actor, pending.began);
    else
      hold(actor_name::stats, wait_kind::actor, pending.began);
  });
  debtor oldest;
  links.for_each([&](connection_link& link) {
    auto debt = debt_of(link);
    if (debt.link && (!oldest.link || debt.since < oldest.since))
      oldest = debt;
  });
  if (oldest.link)
    hold("client " + address_of(*oldest.link), wait_kind::client, oldest.since,
         std::string{", which "} + oldest.owes, oldest.follows);
  std::lock_guard lock{mutex_};
  for (const auto& [who, before] : present_) {
    if (auto same = present.find(who); same != present.end()) {
      if (same->second.debt.empty() || same->second.follows)
        same->second = before; // it still holds for the same reason
      continue;
    }
    auto& past = past_[who];
    past.how_long += now - std::max(before.since, *began_);
    past.kind = before.kind;
    past.debt = before.debt;
  }
  present_ = std::move(present);
}

std::vector<waited> holders::tell(time_point now) const {
  std::lock_guard lock{mutex_};
  std::vector<waited> out;
  for (const auto& [who, at] : present_)
    out.push_back({who + at.debt, now - at.since, at.kind});
  for (const auto& [who, past] : past_)
    if (!present_.contains(who))
      out.push_back({who + past.debt, past.how_long, past.kind});
  return out;
}

} // namespace phi::http
