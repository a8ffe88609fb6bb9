#include "server/http/ingest_body.hpp"

#include "server/api/question_reader.hpp"
#include "server/http/content_coding.hpp"

#include <cctype>

namespace phi::http {
namespace {

/// "application/json" of "Application/JSON; charset=utf-8".
std::string token_of(std::string_view header) {
  std::string out;
  for (char c : header.substr(0, header.find(';')))
    if (c != ' ' && c != '\t')
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// The value of `atomic`; nothing when the query string holds anything else.
std::optional<bool> atomic_flag(std::string_view query_string) {
  auto list = api::parse_query_string(query_string);
  if (!list)
    return std::nullopt;
  std::optional<bool> atomic;
  for (const auto& [name, value] : *list) {
    if (atomic || name != "atomic" || (value != "true" && value != "false"))
      return std::nullopt;
    atomic = value == "true";
  }
  return atomic.value_or(false);
}

read_ingest_body refuse(error_code code, std::string detail) {
  return {.events = {.error = code, .detail = std::move(detail)}};
}

} // namespace

read_ingest_body read_ingest(const ingest_body& body, api::event_reader& reader,
                             size_t max_expanded_bytes, int64_t now_us) {
  auto atomic = atomic_flag(body.query_string);
  if (!atomic)
    return refuse(error_code::invalid_query,
                  "the only parameter here is atomic=true or atomic=false, once");
  auto type = token_of(body.content_type);
  bool lines = type == "application/x-ndjson" || type == "application/ndjson";
  if (!lines && type != "application/json")
    return refuse(
      error_code::unsupported_media_type,
      "send application/json (one event or an array) or application/x-ndjson (one event a line)");
  auto text = body.text;
  expanded_body expanded;
  if (auto coding = token_of(body.content_encoding); !coding.empty() && coding != "identity") {
    expanded = expand(coding, text, max_expanded_bytes);
    if (expanded.error != error_code::none)
      return refuse(expanded.error, std::move(expanded.detail));
    text = expanded.text;
  }
  return {.events = lines ? reader.read_ndjson(text, now_us) : reader.read_json(text, now_us),
          .atomic = *atomic};
}

} // namespace phi::http
