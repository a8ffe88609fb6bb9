#include "server/http/cloud_binding.hpp"

#include "protocol/text/closest.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace phi::http {
namespace {

constexpr std::string_view prefix = "ce-";

/// The text of a quoted-string (RFC 9110, section 5.6.4); anything else as it is.
std::string without_quotes(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"')
    return std::string{value};
  std::string out;
  auto inner = value.substr(1, value.size() - 2);
  for (size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] == '\\' && i + 1 < inner.size())
      ++i;
    out += inner[i];
  }
  return out;
}

/// Nothing: the text is no UTF-8. A % without two digits is one that its sender did not encode.
std::optional<std::string> decoded(std::string_view value) {
  std::string out;
  auto text = without_quotes(value);
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const char* digits = text.data() + i + 1;
    const char* end = digits + std::min<size_t>(2, text.size() - i - 1);
    bool encoded = text[i] == '%' && std::from_chars(digits, end, byte, 16).ptr == digits + 2;
    out += encoded ? static_cast<char>(byte) : text[i];
    i += encoded ? 2 : 0;
  }
  if (!simdjson::validate_utf8(out.data(), out.size()))
    return std::nullopt;
  return out;
}

} // namespace

bool is_cloud_field(std::string_view field_name) {
  return field_name.size() > prefix.size()
         && in_small_letters(field_name.substr(0, prefix.size())) == prefix;
}

bool is_binary_mode(std::span<const raw_cloud_attribute> fields) {
  return std::any_of(fields.begin(), fields.end(), [](const raw_cloud_attribute& field) {
    return api::is_required_attribute(in_small_letters(field.name));
  });
}

cloud_attributes decode(std::span<const raw_cloud_attribute> fields) {
  cloud_attributes out;
  for (const auto& field : fields) {
    auto name = in_small_letters(field.name);
    auto text = decoded(field.value);
    if (!text)
      return {.error = error_code::nothing_valid,
              .detail = std::string{prefix} + name + " holds text that is not UTF-8"};
    out.list.push_back({std::move(name), std::move(*text)});
  }
  return out;
}

} // namespace phi::http
