#include "tools/phictl/line_reader.hpp"

#include "protocol/platform/files.hpp"
#include "protocol/text/byte_order_mark.hpp"
#include "tools/phictl/context.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

namespace phi::ctl {
namespace {

using file_ptr = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

file_ptr open(const std::string& name) {
  file_ptr file{std::fopen(name.c_str(), "rbe"), &std::fclose};
  if (!file)
    throw failure{exit_status::failed, "cannot read " + name + ": " + std::strerror(errno)};
  return file;
}

/// What is read twice, and gone on with later, must be a file: a pipe gives its bytes once.
void refuse_what_is_no_file(const std::string& name) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(name, error))
    throw failure{exit_status::usage,
                  name
                    + " is no regular file, so an import could not resume in it;"
                      " to send what comes out of a pipe: ... | phictl send"};
}

bool is_zstd(const std::string& name) {
  unsigned char magic[4] = {};
  auto file = open(name);
  return std::fread(magic, 1, sizeof magic, file.get()) == sizeof magic && magic[0] == 0x28
         && magic[1] == 0xb5 && magic[2] == 0x2f && magic[3] == 0xfd;
}

/// Whether a line ends with a carriage return as well is no part of what it says.
std::string_view without_return(std::string_view line) {
  return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
}

} // namespace

class line_reader::source {
public:
  virtual ~source() = default;
  /// 0 at the end.
  virtual size_t read(char* to, size_t size) = 0;
  virtual double position() const = 0;
  /// Whether a read would have to wait.
  virtual bool waits() const { return false; }
};

namespace {

/// Plain or gzip: zlib reads both.
class gzip_source : public line_reader::source {
public:
  explicit gzip_source(const std::string& name) : name_(name), file_(::gzopen(name.c_str(), "rb")) {
    if (!file_)
      throw failure{exit_status::failed, "cannot read " + name + ": " + std::strerror(errno)};
  }
  ~gzip_source() override { ::gzclose(file_); }

  size_t read(char* to, size_t size) override {
    auto got = ::gzread(file_, to, static_cast<unsigned>(size));
    int error = Z_OK;
    const char* text = ::gzerror(file_, &error);
    if (got < 0 || (got == 0 && error == Z_BUF_ERROR))
      throw failure{exit_status::failed, name_ + " is damaged: " + text};
    return static_cast<size_t>(got);
  }
  double position() const override { return static_cast<double>(::gzoffset(file_)); }

private:
  std::string name_;
  gzFile file_;
};

class zstd_source : public line_reader::source {
public:
  explicit zstd_source(const std::string& name)
    : name_(name),
      file_(open(name)),
      stream_(::ZSTD_createDStream(), &::ZSTD_freeDStream),
      input_(::ZSTD_DStreamInSize()) {}

  size_t read(char* to, size_t size) override {
    ZSTD_outBuffer out{to, size, 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size) {
        in_ = {input_.data(), std::fread(input_.data(), 1, input_.size(), file_.get()), 0};
        read_ += in_.size;
        if (in_.size == 0) {
          if (left_ != 0)
            throw failure{exit_status::failed, name_ + " is damaged: it ends too early"};
          return 0;
        }
      }
      left_ = ::ZSTD_decompressStream(stream_.get(), &out, &in_);
      if (::ZSTD_isError(left_))
        throw failure{exit_status::failed, name_ + " is damaged: " + ::ZSTD_getErrorName(left_)};
    }
    return out.pos;
  }
  double position() const override { return static_cast<double>(read_); }

private:
  std::string name_;
  file_ptr file_;
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  std::vector<char> input_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  size_t left_ = 0;
  uint64_t read_ = 0;
};

/// An open file, a pipe or a terminal.
class plain_source : public line_reader::source {
public:
  explicit plain_source(int fd) : fd_(fd) {}

  size_t read(char* to, size_t size) override {
    auto got = read_some(fd_, to, size);
    if (got < 0)
      throw failure{exit_status::failed,
                    std::string{"cannot read the events: "} + std::strerror(errno)};
    return static_cast<size_t>(got);
  }
  double position() const override { return 0; }
  bool waits() const override {
    auto seen = wait_until_ready(fd_, interest::input, std::chrono::milliseconds{0});
    return !seen && !seen.failed;
  }

private:
  int fd_;
};

using hash_ptr = std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)>;

/// Of 16 bytes.
std::string hex_of_16(const unsigned char* bytes) {
  std::string out;
  for (size_t i = 0; i < 16; ++i) {
    constexpr auto digits = "0123456789abcdef";
    out += digits[bytes[i] >> 4];
    out += digits[bytes[i] & 15];
  }
  return out;
}

hash_ptr new_hash() {
  hash_ptr out{::EVP_MD_CTX_new(), &::EVP_MD_CTX_free};
  ::EVP_DigestInit_ex(out.get(), ::EVP_sha256(), nullptr);
  return out;
}

} // namespace

line_reader::line_reader(const std::string& file) {
  refuse_what_is_no_file(file);
  std::error_code error;
  size_ = static_cast<double>(std::filesystem::file_size(file, error));
  if (is_zstd(file))
    source_ = std::make_unique<zstd_source>(file);
  else
    source_ = std::make_unique<gzip_source>(file);
}

line_reader::line_reader(int fd, at_end end)
  : source_(std::make_unique<plain_source>(fd)),
    waits_at_end_(end == at_end::waits) {}

line_reader::~line_reader() = default;

bool line_reader::next(std::string& line) {
  cut_ = false;
  if (!begun_)
    skip_byte_order_mark();
  for (;;) {
    if (auto end = rest_.find('\n', std::max(at_, searched_)); end != rest_.npos || ended_) {
      auto whole = without_return(std::string_view{rest_}.substr(at_, end - at_));
      if (whole.size() > max_line_bytes)
        return take_cut_line(line);
      line = whole;
      at_ = end == rest_.npos ? rest_.size() : end + 1;
      return end != rest_.npos || !line.empty();
    }
    if (rest_.size() - at_ > max_line_bytes + 1) // no end of a line behind it makes it short enough
      return take_cut_line(line);
    rest_.erase(0, at_);
    at_ = 0;
    searched_ = rest_.size();
    read_on();
    if (ended_ && waits_at_end_) {
      ended_ = false;
      return false;
    }
  }
}

void line_reader::read_on() {
  char block[65536];
  auto size = source_->read(block, sizeof block);
  rest_.append(block, size);
  bytes_ += size;
  ended_ = size == 0;
}

void line_reader::skip_byte_order_mark() {
  constexpr auto mark = byte_order_mark;
  while (!ended_ && rest_.size() < mark.size() && mark.starts_with(rest_))
    read_on();
  if (rest_.starts_with(mark))
    rest_.erase(0, mark.size());
  begun_ = !ended_ || !waits_at_end_; // of a file that is still empty it may come yet
  ended_ &= !waits_at_end_;
}

/// The rest of the line goes through the digest and is forgotten.
bool line_reader::take_cut_line(std::string& line) {
  cut_ = true;
  line.assign(rest_, at_, max_line_bytes);
  rest_.erase(0, at_ + max_line_bytes);
  at_ = searched_ = 0;
  auto hash = new_hash();
  for (;;) {
    auto end = rest_.find('\n');
    auto more = std::string_view{rest_}.substr(0, end);
    auto whole = without_return(more); // a return waits for what is behind it
    bool last = end != rest_.npos || ended_;
    ::EVP_DigestUpdate(hash.get(), whole.data(), whole.size());
    rest_.erase(0, !last ? whole.size() : end == rest_.npos ? end : end + 1);
    if (last)
      break;
    read_on();
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  ::EVP_DigestFinal_ex(hash.get(), digest, &length);
  line.append(reinterpret_cast<const char*>(digest), length);
  ended_ &= !waits_at_end_;
  return true;
}

bool line_reader::waits() const {
  return !ended_ && rest_.find('\n', at_) == rest_.npos && source_->waits();
}

double line_reader::done() const {
  return size_ > 0 ? std::min(1.0, source_->position() / size_) : 1;
}

std::string random_identity() {
  unsigned char bytes[16];
  if (::RAND_bytes(bytes, sizeof bytes) != 1)
    throw failure{exit_status::failed, "the system gives no random numbers"};
  return hex_of_16(bytes);
}

line_chain::line_chain(const std::string& name) {
  next("phi-backend lines 1 " + name);
}

std::string line_chain::next(std::string_view line) {
  auto hash = new_hash();
  ::EVP_DigestUpdate(hash.get(), digest_.data(), digest_.size());
  ::EVP_DigestUpdate(hash.get(), line.data(), line.size());
  ::EVP_DigestFinal_ex(hash.get(), digest_.data(), nullptr);
  return hex_of_16(digest_.data());
}

} // namespace phi::ctl
