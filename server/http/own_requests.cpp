#include "server/http/own_requests.hpp"

#include "protocol/own_request.hpp"

#include <restinio/all.hpp>

#include <utility>

namespace phi::http {

namespace {

/// The values of all lines of a header field, joined as one line would have them.
std::string all_of(const restinio::http_request_header_t& header, std::string_view name) {
  std::string out;
  header.for_each_field([&](const auto& field) {
    if (restinio::impl::is_equal_caseless(field.name(), std::string{name}))
      out += (out.empty() ? "" : ",") + field.value();
  });
  return out;
}

} // namespace

bool own_requests::record(const exchange& answered, int status) {
  if (!records(answered, status))
    return false;
  keep(answered, status, client(answered));
  return true;
}

bool own_requests::record(const exchange& answered, int status, const std::string& client) {
  if (!records(answered, status))
    return false;
  keep(answered, status, client);
  return true;
}

bool own_requests::records(const exchange& answered, int status) const {
  const auto& stats = settings_.stats;
  if (!stats.enabled || !stats.track_requests || !answered.route
      || !answered.route->serves->counts())
    return false;
  // Who was not let in leaves nothing behind.
  return status != 401 && status != 403 && status != 429;
}

void own_requests::keep(const exchange& answered, int status, const std::string& client) {
  event own{.time_us = answered.wall_us, .identity = uuids_.next(answered.wall_us)};
  own.action = own_request_action;
  own.route = answered.route->path;
  own.method = answered.route->serves->method;
  own.status = status;
  own.duration_us = (clock::now() - answered.began) / std::chrono::microseconds{1};
  own.instance = settings_.resolved.instance;
  own.address_hash = addresses_.of(client);
  events_.push_back(std::move(own));
}

std::string own_requests::client(const exchange& current) const {
  if (!current.client.empty())
    return current.client;
  auto peer = current.request->remote_endpoint().address().to_string();
  return client(peer, all_of(current.request->header(), "X-Forwarded-For"));
}

ingest_request own_requests::take() {
  ingest_request out{.awaited = false};
  out.hold(std::exchange(events_, {}));
  return out;
}

} // namespace phi::http
