#include "server/http/own_requests.hpp"

#include <restinio/all.hpp>

#include <utility>

namespace phi::http {

bool own_requests::record(const exchange& answered, int status) {
  const auto& stats = settings_.stats;
  if (!stats.enabled || !stats.track_requests || !answered.route || !answered.route->tracked)
    return false;
  event own{.time_us = answered.wall_us, .identity = uuids_.next(answered.wall_us)};
  own.route = answered.route->path;
  own.method = answered.route->method;
  own.status = status;
  own.duration_us = (clock::now() - answered.began) / std::chrono::microseconds{1};
  own.instance = settings_.resolved.instance;
  if (!stats.user_hash_salt.empty()) {
    auto peer = answered.request->remote_endpoint().address().to_string();
    auto forwarded = field_of(answered.request->header(), "X-Forwarded-For");
    own.address_hash = addresses_.of(proxies_.client(peer, forwarded));
  }
  events_.push_back(std::move(own));
  return true;
}

ingest_request own_requests::take() {
  ingest_request out{.awaited = false};
  out.hold(std::exchange(events_, {}));
  return out;
}

} // namespace phi::http
