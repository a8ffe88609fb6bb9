#include "server/store/spool/spool_room.hpp"

#include <filesystem>
#include <system_error>

namespace phi::store {
namespace {

/// Taking batches out needs room as well: on a disk that is full to the last byte the spool could
/// never get empty.
constexpr uint64_t take_out_bytes = 1'048'576;

} // namespace

outcome check_room(const spool_settings& with, uint64_t held, uint64_t more) {
  if (held + more > with.max_bytes)
    return outcome::failure("the spool holds " + std::to_string(held)
                            + " bytes, and spool.max_bytes allows "
                            + std::to_string(with.max_bytes));
  std::error_code unknown;
  auto disk = std::filesystem::space(std::filesystem::path{with.file}.parent_path(), unknown);
  if (!unknown && disk.available < with.min_free_bytes + take_out_bytes + more)
    return outcome::failure("the disk has " + std::to_string(disk.available)
                            + " bytes left, and spool.min_free_bytes keeps "
                            + std::to_string(with.min_free_bytes));
  return {};
}

} // namespace phi::store
