#include "tools/phictl/line_reader.hpp"

#include "tools/phictl/context.hpp"

#include <openssl/evp.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

namespace phi::ctl {
namespace {

using file_ptr = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

file_ptr open(const std::string& name) {
  file_ptr file{std::fopen(name.c_str(), "rbe"), &std::fclose};
  if (!file)
    throw failure{outcome::failed, "cannot read " + name + ": " + std::strerror(errno)};
  return file;
}

bool is_zstd(const std::string& name) {
  unsigned char magic[4] = {};
  auto file = open(name);
  return std::fread(magic, 1, sizeof magic, file.get()) == sizeof magic && magic[0] == 0x28
         && magic[1] == 0xb5 && magic[2] == 0x2f && magic[3] == 0xfd;
}

} // namespace

class line_reader::source {
public:
  virtual ~source() = default;
  /// 0 at the end.
  virtual size_t read(char* to, size_t size) = 0;
  virtual double position() const = 0;
};

namespace {

/// Plain or gzip: zlib reads both.
class gzip_source : public line_reader::source {
public:
  explicit gzip_source(const std::string& name) : name_(name), file_(::gzopen(name.c_str(), "rb")) {
    if (!file_)
      throw failure{outcome::failed, "cannot read " + name + ": " + std::strerror(errno)};
  }
  ~gzip_source() override { ::gzclose(file_); }

  size_t read(char* to, size_t size) override {
    auto got = ::gzread(file_, to, static_cast<unsigned>(size));
    int error = Z_OK;
    const char* text = ::gzerror(file_, &error);
    if (got < 0 || (got == 0 && error == Z_BUF_ERROR))
      throw failure{outcome::failed, name_ + " is damaged: " + text};
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
            throw failure{outcome::failed, name_ + " is damaged: it ends too early"};
          return 0;
        }
      }
      left_ = ::ZSTD_decompressStream(stream_.get(), &out, &in_);
      if (::ZSTD_isError(left_))
        throw failure{outcome::failed, name_ + " is damaged: " + ::ZSTD_getErrorName(left_)};
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

} // namespace

line_reader::line_reader(const std::string& file) {
  std::error_code error;
  size_ = static_cast<double>(std::filesystem::file_size(file, error));
  if (is_zstd(file))
    source_ = std::make_unique<zstd_source>(file);
  else
    source_ = std::make_unique<gzip_source>(file);
}

line_reader::~line_reader() = default;

bool line_reader::next(std::string& line) {
  for (;;) {
    if (auto end = rest_.find('\n', at_); end != rest_.npos) {
      line.assign(rest_, at_, end - at_);
      at_ = end + 1;
      return true;
    }
    if (ended_) {
      line = rest_.substr(at_);
      rest_.clear();
      at_ = 0;
      return !line.empty();
    }
    rest_.erase(0, at_);
    at_ = 0;
    char block[65536];
    auto size = source_->read(block, sizeof block);
    rest_.append(block, size);
    ended_ = size == 0;
  }
}

double line_reader::done() const {
  return size_ > 0 ? std::min(1.0, source_->position() / size_) : 1;
}

std::string fingerprint(const std::string& file) {
  auto in = open(file);
  std::vector<char> head(1 << 20);
  head.resize(std::fread(head.data(), 1, head.size(), in.get()));
  std::error_code error;
  auto size = std::to_string(std::filesystem::file_size(file, error));
  head.insert(head.end(), size.begin(), size.end());
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  ::EVP_Digest(head.data(), head.size(), digest, &length, ::EVP_sha256(), nullptr);
  std::string out;
  for (int i = 0; i < 8; ++i) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", digest[i]);
    out += hex;
  }
  return out;
}

} // namespace phi::ctl
