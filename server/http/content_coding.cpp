#include "server/http/content_coding.hpp"

#include <zlib.h>
#include <zstd.h>

#include <memory>

namespace phi::http {
namespace {

constexpr size_t block = 64 * 1024;

/// Adds to `out`; false when that goes past the cap.
bool append(expanded_body& out, const char* data, size_t size, size_t max_bytes) {
  if (out.text.size() + size > max_bytes) {
    out = {.error = error_code::expanded_too_large,
           .detail = "the body expands to more than " + std::to_string(max_bytes)
                     + " bytes (server.max_expanded_bytes)"};
    return false;
  }
  out.text.append(data, size);
  return true;
}

/// What the sender must know: which coding it named, and whether its stream is cut short, damaged
/// or something else altogether.
expanded_body broken(std::string_view coding, const std::string& fault) {
  return {.error = error_code::bad_encoding,
          .detail = "Content-Encoding says " + std::string{coding} + ", and " + fault};
}

/// `done`: bytes of the body that could be read.
expanded_body broken_gzip(std::string_view coding, int code, size_t done, size_t size) {
  if (size == 0)
    return broken(coding, "the body is empty");
  if (code == Z_BUF_ERROR)
    return broken(coding, "the gzip stream ends early, after " + std::to_string(size)
                            + " bytes: was it cut short?");
  if (done <= 2) // the two bytes that every gzip stream begins with
    return broken(coding, "the body does not begin as a gzip stream does");
  return broken(coding, "the gzip stream is damaged near byte " + std::to_string(done));
}

expanded_body expand_gzip(std::string_view coding, std::string_view body, size_t max_bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) // 16: gzip framing only
    return {.error = error_code::internal};
  std::unique_ptr<z_stream, int (*)(z_stream*)> guard{&stream, &inflateEnd};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  auto buffer = std::make_unique<char[]>(block);
  expanded_body out;
  for (int code = Z_OK; code != Z_STREAM_END;) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.get());
    stream.avail_out = block;
    code = inflate(&stream, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END)
      return broken_gzip(coding, code, body.size() - stream.avail_in, body.size());
    if (!append(out, buffer.get(), block - stream.avail_out, max_bytes))
      return out;
    // gzip allows several members one after the other.
    if (code == Z_STREAM_END && stream.avail_in > 0) {
      if (inflateReset(&stream) != Z_OK)
        return {.error = error_code::internal};
      code = Z_OK;
    }
  }
  return out;
}

expanded_body expand_zstd(std::string_view coding, std::string_view body, size_t max_bytes) {
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context{ZSTD_createDCtx(), &ZSTD_freeDCtx};
  // A frame may ask for a window of gigabytes; 8 MiB is what `zstd -19` needs.
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, 23);
  auto buffer = std::make_unique<char[]>(block);
  ZSTD_inBuffer in{body.data(), body.size(), 0};
  expanded_body out;
  size_t open = 1;
  while (in.pos < in.size || open != 0) {
    auto before = in.pos;
    ZSTD_outBuffer to{buffer.get(), block, 0};
    open = ZSTD_decompressStream(context.get(), &to, &in);
    if (ZSTD_isError(open))
      return broken(coding, "the zstd stream is damaged near byte " + std::to_string(in.pos) + ": "
                              + ZSTD_getErrorName(open));
    if (open != 0 && in.pos == before && to.pos == 0)
      return broken(coding, body.empty()
                              ? std::string{"the body is empty"}
                              : "the zstd stream ends early, after " + std::to_string(body.size())
                                  + " bytes: was it cut short?");
    if (!append(out, buffer.get(), to.pos, max_bytes))
      return out;
  }
  return out;
}

} // namespace

bool knows_coding(std::string_view coding) {
  return coding.empty() || coding == "identity" || coding == "gzip" || coding == "x-gzip"
         || coding == "zstd";
}

expanded_body expand(std::string_view coding, std::string_view body, size_t max_bytes) {
  if (coding == "gzip" || coding == "x-gzip")
    return expand_gzip(coding, body, max_bytes);
  if (coding == "zstd")
    return expand_zstd(coding, body, max_bytes);
  return {.error = error_code::unsupported_encoding,
          .detail = "Content-Encoding says \"" + std::string{coding.substr(0, 64)}
                    + "\"; gzip and zstd are understood, one of them"};
}

} // namespace phi::http
