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
};

/// What a client owes us, if it does. Whoever waits for our answer owes nothing.
debtor debt_of(const connection_link& link) {
  if (link.writing())
    return {&link, "has not read its answer", link.writing_since()};
  if (link.lingers())
    return {&link, "still sends what was refused", link.idle_since()};
  if (link.receiving())
    return {&link, "owes the rest of its request", link.request_began()};
  if (link.idle())
    return {&link, "keeps its connection open", link.idle_since()};
  return {};
}

} // namespace

void holders::begin(time_point now) {
  std::lock_guard lock{guard_};
  began_ = now;
}

void holders::look(const exchange_table& exchanges, link_registry& links, time_point now,
                   bool exactly) {
  if (!began_ || (!exactly && now - looked_ < least_interval))
    return;
  looked_ = now;
  std::map<std::string, time_point> present;
  auto hold = [&](const std::string& who, time_point since) {
    auto [at, is_new] = present.try_emplace(who, since);
    at->second = std::min(at->second, since);
  };
  exchanges.for_each([&](const exchange& one) {
    if (one.route && one.route->what == action::question)
      hold("reader", one.began);
    else
      hold("stats", one.began);
  });
  debtor oldest;
  links.for_each([&](connection_link& link) {
    auto debt = debt_of(link);
    if (debt.link && (!oldest.link || debt.since < oldest.since))
      oldest = debt;
  });
  if (oldest.link)
    hold("client " + address_of(*oldest.link) + ", which " + oldest.owes, oldest.since);
  std::lock_guard lock{guard_};
  for (const auto& [who, since] : present_)
    if (!present.contains(who))
      past_[who] += now - std::max(since, *began_);
  present_ = std::move(present);
}

std::vector<waited> holders::tell(time_point now) const {
  std::lock_guard lock{guard_};
  std::vector<waited> out;
  for (const auto& [who, since] : present_)
    out.push_back({who, now - since});
  for (const auto& [who, held] : past_)
    if (!present_.contains(who))
      out.push_back({who, held});
  return out;
}

} // namespace phi::http
