#pragma once
/// The service's own requests, recorded as events that no count of the users' events holds.

#include "config/config.hpp"
#include "protocol/ingest.hpp"
#include "server/api/client_address.hpp"
#include "server/http/exchanges.hpp"
#include "server/platform/digest.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace phi::http {

/// One instance an event loop.
class own_requests {
public:
  /// `settings` must outlive it. Without a salt no addresses are kept.
  own_requests(const config& settings, const std::string& salt)
    : settings_(settings),
      proxies_(settings.server.trusted_proxies),
      addresses_(salt) {}

  /// The settings have changed.
  void apply_settings() { proxies_ = api::trusted_proxies{settings_.server.trusted_proxies}; }

  /// Notes that a request was answered. False when such requests are not recorded.
  bool record(const exchange& answered, int status);
  /// The same for one that RESTinio never saw.
  bool record(const exchange& answered, int status, const std::string& client);

  /// The address of the client, as proxies that are trusted tell it.
  std::string client(const exchange& current) const;
  /// `peer`: where the connection comes from; `forwarded_for`: all lines of X-Forwarded-For.
  std::string client(const std::string& peer, std::string_view forwarded_for) const {
    return proxies_.client(peer, forwarded_for);
  }

  bool empty() const { return events_.empty(); }

  /// Everything noted so far, as a request that nobody waits for.
  ingest_request take();

private:
  bool records(const exchange& answered, int status) const;
  void keep(const exchange& answered, int status, const std::string& client);

  const config& settings_;
  api::trusted_proxies proxies_;
  keyed_hash addresses_;
  uuid7_source uuids_;
  std::vector<event> events_;
};

} // namespace phi::http
