#include "server/http/ingest_body.hpp"

#include "server/api/question_reader.hpp"
#include "server/http/content_coding.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
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

read_ingest_body refuse(error_code code, std::string detail) {
  return {.events = {.error = code, .detail = std::move(detail)}};
}

read_ingest_body refuse_parameter(std::string name, std::string_view message) {
  read_ingest_body out;
  out.events.error = error_code::invalid_query;
  out.wrong_parameters.push_back({.code = error_code::invalid_query,
                                  .pointer = std::move(name),
                                  .message = std::string{message}});
  return out;
}

/// The query string: `atomic`, or the first thing that is wrong. The token in it is read elsewhere.
read_ingest_body read_parameters(std::string_view query_string) {
  auto list = api::parse_query_string(query_string);
  if (!list)
    return refuse_parameter("", api::broken_query_string);
  std::optional<bool> atomic;
  for (const auto& [name, value] : *list) {
    if (name == "access_token")
      continue;
    if (name != "atomic")
      return refuse_parameter(name, "unknown parameter; the only one here is atomic");
    if (atomic)
      return refuse_parameter(name, "the parameter is given twice");
    if (value != "true" && value != "false")
      return refuse_parameter(name, "expected true or false");
    atomic = value == "true";
  }
  return {.atomic = atomic.value_or(false)};
}

/// How a body is read.
enum class body_kind : uint8_t {
  unknown,
  json,
  lines,
  cloud_event,
  cloud_batch,
  cloud_data, ///< of an event whose attributes are in the header
};

/// A line each: there is no registered name, and every tool has its own.
constexpr std::array<std::string_view, 9> types_of_lines{
  "application/x-ndjson", "application/ndjson",        "application/jsonl",
  "application/x-jsonl",  "application/jsonlines",     "application/x-jsonlines",
  "application/x-ldjson", "application/x-json-stream", "application/stream+json",
};

bool is_json(std::string_view type) {
  return type.empty() || type == "application/json" || type == "text/json"
         || type.ends_with("+json");
}

body_kind kind_of(const ingest_body& body, std::string_view type) {
  if (type == "application/cloudevents+json")
    return body_kind::cloud_event;
  if (type == "application/cloudevents-batch+json")
    return body_kind::cloud_batch;
  if (type.starts_with("application/cloudevents"))
    return body_kind::unknown;
  if (is_binary_mode(body.cloud))
    return body_kind::cloud_data;
  if (type == "application/json" || (body.from_page && type == "text/plain"))
    return body_kind::json;
  bool lines =
    std::find(types_of_lines.begin(), types_of_lines.end(), type) != types_of_lines.end();
  return lines ? body_kind::lines : body_kind::unknown;
}

read_ingest_body refuse_type(std::string_view type) {
  std::string got = type.empty() ? "there is no Content-Type"
                                 : "Content-Type is " + std::string{type.substr(0, 64)};
  if (type == "text/plain")
    got += ", which is taken from pages of cors.allowed_origins only";
  return refuse(error_code::unsupported_media_type,
                got
                  + "; send application/json (one event or an array), application/x-ndjson (one "
                    "event a line), application/cloudevents+json or "
                    "application/cloudevents-batch+json");
}

api::read_events read_cloud_data(const ingest_body& body, std::string_view text, bool json,
                                 api::event_reader& reader, int64_t now_us) {
  auto attributes = decode(body.cloud);
  if (attributes.error != error_code::none)
    return {.error = attributes.error, .detail = std::move(attributes.detail)};
  if (!json && !simdjson::validate_utf8(text.data(), text.size()))
    return {.error = error_code::unsupported_media_type,
            .detail = "the data of an event must be JSON or a text in UTF-8"};
  return reader.read_cloud_event(
    attributes.list, json ? api::cloud_data::json : api::cloud_data::text, text, now_us);
}

} // namespace

read_ingest_body refuse_ingest(const ingest_body& body) {
  if (auto out = read_parameters(body.query_string); out.events.error != error_code::none)
    return out;
  auto type = token_of(body.content_type);
  if (kind_of(body, type) == body_kind::unknown)
    return refuse_type(type);
  auto coding = token_of(body.content_encoding);
  if (knows_coding(coding))
    return {};
  auto unknown = expand(coding, {}, 0);
  return refuse(unknown.error, std::move(unknown.detail));
}

read_ingest_body read_ingest(const ingest_body& body, api::event_reader& reader,
                             size_t max_expanded_bytes, int64_t now_us) {
  auto out = read_parameters(body.query_string);
  if (out.events.error != error_code::none)
    return out;
  auto type = token_of(body.content_type);
  auto kind = kind_of(body, type);
  if (kind == body_kind::unknown)
    return refuse_type(type);
  auto text = body.text;
  expanded_body expanded;
  if (auto coding = token_of(body.content_encoding); !coding.empty() && coding != "identity") {
    expanded = expand(coding, text, max_expanded_bytes);
    if (expanded.error != error_code::none)
      return refuse(expanded.error, std::move(expanded.detail));
    text = expanded.text;
  }
  switch (kind) {
    case body_kind::lines: out.events = reader.read_ndjson(text, now_us); break;
    case body_kind::cloud_event: out.events = reader.read_cloud_event(text, now_us); break;
    case body_kind::cloud_batch: out.events = reader.read_cloud_batch(text, now_us); break;
    case body_kind::cloud_data:
      out.events = read_cloud_data(body, text, is_json(type), reader, now_us);
      break;
    default: out.events = reader.read_json(text, now_us);
  }
  return out;
}

} // namespace phi::http
