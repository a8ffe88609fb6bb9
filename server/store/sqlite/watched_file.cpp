#include "server/store/sqlite/watched_file.hpp"

#include "protocol/platform/files.hpp"

#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace phi::store {

watched_file::watched_file(std::string path) : path_(std::move(path)) {
  auto found = facts_at(path_);
  if (!found)
    throw std::runtime_error(path_ + " has gone while it was opened");
  device_ = found->device;
  number_ = found->number;
}

outcome watched_file::in_place() const {
  if (path_.empty())
    return {};
  auto lost = [&](const char* loss) {
    return outcome::failure(path_ + loss, outcome::kind::out_of_reach);
  };
  auto found = facts_at(path_);
  if (!found)
    return lost(errno == ENOENT || errno == ENOTDIR ? " has been moved away or deleted"
                                                    : " cannot be looked at any more");
  if (found->device != device_ || found->number != number_)
    return lost(" has been replaced by another file");
  return {};
}

uint64_t size_of_file(const std::string& path) {
  auto found = facts_at(path);
  return found ? found->size : 0;
}

uint64_t room_beside(const std::string& path) {
  std::error_code failed;
  auto space = std::filesystem::space(std::filesystem::absolute(path).parent_path(), failed);
  return failed ? 0 : space.available;
}

void flush_directory(const std::string& path) {
  if (!flush_names_in(path))
    throw std::system_error{errno, std::generic_category(), "cannot flush " + path};
}

} // namespace phi::store
