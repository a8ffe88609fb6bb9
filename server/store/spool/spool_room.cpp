#include "server/store/spool/spool_room.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace phi::store {
namespace {

/// Taking batches out needs room as well: on a disk that is full to the last byte the spool could
/// never get empty.
constexpr uint64_t take_out_bytes = 1'048'576;
/// What the write-ahead log holds before it is written back, which needs as much again in the file:
/// 1000 pages.
constexpr uint64_t log_bytes = 4'096'000;

/// What the disk has left; where nobody knows, enough.
uint64_t disk_left(const spool_settings& settings) {
  std::error_code unknown;
  auto disk = std::filesystem::space(std::filesystem::path{settings.file}.parent_path(), unknown);
  return unknown ? UINT64_MAX : disk.available;
}

} // namespace

outcome check_room(const spool_settings& settings, uint64_t held, uint64_t more,
                   const std::function<uint64_t()>& make_room) {
  if (held + more > settings.max_bytes)
    return outcome::failure("the spool holds " + std::to_string(held)
                            + " bytes, and spool.max_bytes allows "
                            + std::to_string(settings.max_bytes));
  // Twice: in the write-ahead log, for a while, and then in the file.
  auto at_least = [&](uint64_t grows) {
    return take_out_bytes + grows + std::max(settings.min_free_bytes, more);
  };
  if (disk_left(settings) >= log_bytes + at_least(more))
    return {};
  auto grows = more - std::min(more, make_room());
  auto left = disk_left(settings);
  if (left >= at_least(grows))
    return {};
  return outcome::failure("the disk has " + std::to_string(left)
                          + " bytes left, and spool.min_free_bytes keeps "
                          + std::to_string(settings.min_free_bytes));
}

} // namespace phi::store
