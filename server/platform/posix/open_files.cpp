#include "server/platform/open_files.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <limits>

namespace phi {
namespace {

/// Databases, logs, sockets of our own, and the files of an hour's maintenance.
constexpr int64_t others = 64;

} // namespace

int64_t raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return std::numeric_limits<int64_t>::max();
  if (limit.rlim_cur < limit.rlim_max) {
    auto wanted = limit;
    wanted.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &wanted) == 0)
      limit = wanted;
  }
  auto most = static_cast<rlim_t>(std::numeric_limits<int64_t>::max());
  return static_cast<int64_t>(std::min(limit.rlim_cur, most));
}

int64_t open_files_for(int64_t connections) {
  return connections + others;
}

int64_t connections_within(int64_t wanted, int64_t limit) {
  return std::clamp<int64_t>(limit - others, 1, std::max<int64_t>(1, wanted));
}

} // namespace phi
