#include "protocol/durable_file.hpp"

#include "protocol/platform/files.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

namespace phi {
namespace {

outcome last_error(const std::string& attempt) {
  return outcome::failure(attempt + ": " + std::strerror(errno));
}

/// Nothing: there is no such file that can be read.
std::optional<std::string> text_of(const std::string& file) {
  std::error_code ignored;
  std::ifstream in{file};
  if (!in || !std::filesystem::is_regular_file(file, ignored))
    return std::nullopt;
  return std::string{std::istreambuf_iterator<char>{in}, {}};
}

/// Text on disk, the name not yet. After a failure the file is as it was.
outcome put_in_place(const std::string& file, const std::string& text) {
  auto fresh = file + ".new";
  remove_file(fresh); // of a process that was killed here; a link is not followed
  auto to = open_file(fresh, open_mode::make);
  bool done = to && write_bytes(to.get(), text) && flush_file(to.get());
  to.reset();
  if (done && replace_file(fresh, file))
    return {};
  auto why = last_error("cannot write " + file);
  remove_file(fresh);
  return why;
}

} // namespace

outcome write_all(int fd, std::string_view bytes, const std::string& name) {
  return write_bytes(fd, bytes) ? outcome{} : last_error("cannot write " + name);
}

outcome sync_directory(const std::string& directory) {
  return flush_names_in(directory) ? outcome{}
                                   : last_error("cannot bring " + directory + " to disk");
}

outcome write_durably(const std::string& file, const std::string& text, when_unsure then) {
  auto before = then == when_unsure::put_back ? text_of(file) : std::nullopt;
  if (auto put = put_in_place(file, text); !put)
    return put;
  auto synced = sync_directory(std::filesystem::path{file}.parent_path().string());
  if (synced || then == when_unsure::keep)
    return synced;
  auto back = before              ? put_in_place(file, *before)
              : remove_file(file) ? outcome{}
                                  : last_error("cannot remove " + file);
  if (back)
    return synced;
  return outcome::failure(synced.why() + "; " + file
                          + " is the new one all the same: " + back.why());
}

} // namespace phi
