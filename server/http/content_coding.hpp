#pragma once
/// Expands compressed bodies, with a cap.

#include "protocol/errors.hpp"

#include <string>
#include <string_view>

namespace phi::http {

struct expanded_body {
  error_code error = error_code::none; ///< expanded_too_large, bad_encoding, unsupported_encoding
  std::string text;
  std::string detail; ///< of an error, for the sender
};

/// Whether a coding, as below, is one that is expanded or needs not be.
bool knows_coding(std::string_view coding);

/// `coding` as in Content-Encoding: gzip, x-gzip, zstd, identity or empty. Never holds more than
/// `max_bytes` (and a block of 64 KiB).
expanded_body expand(std::string_view coding, std::string_view body, size_t max_bytes);

} // namespace phi::http
