#include "server/http/request_target.hpp"

#include <strings.h>

namespace phi::http {
namespace {

/// The length of "http://" or "https://" in front, in any case; 0: neither.
size_t scheme_length(std::string_view target) {
  for (std::string_view scheme : {"http://", "https://"})
    if (target.size() >= scheme.size()
        && strncasecmp(target.data(), scheme.data(), scheme.size()) == 0)
      return scheme.size();
  return 0;
}

request_target split(std::string_view target) {
  auto path = target.substr(0, target.find('?'));
  return {path, path.size() < target.size() ? target.substr(path.size() + 1) : std::string_view{}};
}

} // namespace

std::optional<request_target> read_target(std::string_view target) {
  auto scheme = scheme_length(target);
  if (scheme == 0)
    return split(target);
  target.remove_prefix(scheme);
  auto host = target.substr(0, target.find_first_of("/?#"));
  if (host.empty() || host.front() == ':' || host.find('@') != host.npos)
    return std::nullopt;
  auto out = split(target.substr(host.size()));
  if (out.path.empty())
    out.path = "/"; // RFC 9112, section 3.2.1
  return out;
}

} // namespace phi::http
