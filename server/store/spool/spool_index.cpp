#include "server/store/spool/spool_index.hpp"

#include "protocol/platform/files.hpp"
#include "server/platform/digest.hpp"
#include "server/store/sqlite/watched_file.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace phi::store {
namespace {

constexpr std::string_view first_line = "phi-spool-index 1";
constexpr std::string_view any_first_line = "phi-spool-index ";
constexpr size_t check_size = 16;

[[noreturn]] void fail(const std::string& attempt, const std::string& path) {
  throw std::system_error{errno, std::generic_category(), attempt + " " + path};
}

/// '+' a batch came, '-' it went, '=' the highest number.
std::string line_of(char sign, indexed_batch batch) {
  auto text =
    std::string{sign} + " " + std::to_string(batch.number) + " " + std::to_string(batch.events);
  return text + " " + hex_digest(text).substr(0, check_size) + "\n";
}

std::optional<std::pair<char, indexed_batch>> parse(std::string_view line) {
  if (line.size() < check_size + 6)
    return std::nullopt;
  auto text = line.substr(0, line.size() - check_size - 1);
  if (hex_digest(text).substr(0, check_size) != line.substr(text.size() + 1))
    return std::nullopt;
  indexed_batch batch;
  const auto* end = text.data() + text.size();
  auto number = std::from_chars(text.data() + 2, end, batch.number);
  if (number.ec != std::errc{} || number.ptr == end
      || std::from_chars(number.ptr + 1, end, batch.events).ec != std::errc{})
    return std::nullopt;
  return std::pair{text[0], batch};
}

/// What came and did not go, each once.
std::vector<indexed_batch> without(std::vector<indexed_batch> came, std::vector<int64_t> went) {
  std::sort(came.begin(), came.end());
  came.erase(std::unique(came.begin(), came.end()), came.end());
  std::sort(went.begin(), went.end());
  std::erase_if(came, [&](const indexed_batch& batch) {
    return std::binary_search(went.begin(), went.end(), batch.number);
  });
  return came;
}

} // namespace

void spool_index::close() noexcept {
  file_.reset();
}

std::vector<indexed_batch> spool_index::open(const std::string& path) {
  close();
  path_ = path;
  last_ = 0;
  size_ = damaged_ = 0;
  is_new_ = !std::filesystem::exists(path);
  if (is_new_)
    return {};
  std::ifstream in{path, std::ios::binary};
  if (!in)
    fail("cannot read", path);
  std::vector<indexed_batch> came;
  std::vector<int64_t> went;
  std::string line;
  uint64_t pending = 0; // damaged lines that may be the end
  for (bool first = true; std::getline(in, line); first = false) {
    if (first && line.starts_with(any_first_line) && line != first_line)
      throw std::runtime_error(path + " was written by a newer version; install that version");
    auto said = in.eof() || first ? std::nullopt : parse(line);
    bool whole = said || (first && line == first_line);
    damaged_ += std::exchange(pending, whole ? 0 : 1);
    if (whole && !in.eof())
      size_ = static_cast<uint64_t>(in.tellg());
    if (!said)
      continue;
    last_ = std::max(last_, said->second.number);
    if (said->first == '+')
      came.push_back(said->second);
    else if (said->first == '-')
      went.push_back(said->second.number);
  }
  damaged_ += size_ == 0;
  auto held = without(std::move(came), std::move(went));
  file_ = open_file(path, open_mode::write);
  if (!file_)
    fail("cannot write", path);
  return held;
}

void spool_index::append(const std::string& lines) {
  // At the end of the last whole line: what a failed try has left there is overwritten.
  if (!write_bytes_at(file_.get(), lines, size_) || !flush_content(file_.get()))
    fail("cannot write", path_);
  size_ += lines.size();
}

void spool_index::add(indexed_batch batch) {
  append(line_of('+', batch));
  last_ = std::max(last_, batch.number);
}

void spool_index::remove(std::span<const int64_t> numbers) {
  std::string lines;
  for (auto number : numbers)
    lines += line_of('-', {number, 0});
  if (!lines.empty())
    append(lines);
}

void spool_index::replace(const std::vector<indexed_batch>& held, int64_t last) {
  std::string text = std::string{first_line} + "\n" + line_of('=', {last, 0});
  for (const auto& batch : held)
    text += line_of('+', batch);
  auto fresh = path_ + ".new";
  auto file = open_file(fresh, open_mode::write_anew);
  if (!file)
    fail("cannot write", fresh);
  if (!write_bytes_at(file.get(), text, 0) || !flush_file(file.get())
      || !replace_file(fresh, path_)) {
    int error = errno;
    remove_file(fresh);
    errno = error;
    fail("cannot write", fresh);
  }
  file_ = std::move(file);
  last_ = last;
  size_ = text.size();
  damaged_ = 0;
  is_new_ = false;
  flush_directory(std::filesystem::path{path_}.parent_path().string());
}

} // namespace phi::store
