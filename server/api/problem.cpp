#include "server/api/problem.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <iterator>

namespace phi::api {
namespace {

using json = nlohmann::ordered_json;

json to_json(const std::vector<problem_detail>& errors) {
  json out = json::array();
  for (const auto& error : errors) {
    json row = json::object();
    if (error.index)
      row["index"] = *error.index;
    row["code"] = to_string(error.code);
    row["pointer"] = error.pointer;
    row["message"] = error.message;
    out.push_back(std::move(row));
  }
  return out;
}

/// What clients sent may be in a message: it must not make the answer itself invalid.
std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace

std::string problem_json(error_code code, std::string_view detail, std::string_view request_id,
                         const std::vector<problem_detail>& errors) {
  const auto& about = facts(code);
  json out{{"type", "urn:x-phi-backend:" + std::string{about.name}},
           {"title", about.title},
           {"status", about.http_status},
           {"detail", detail.empty() ? about.title : detail},
           {"code", about.name},
           {"requestId", request_id}};
  if (!errors.empty())
    out["errors"] = to_json(errors);
  return dump(out);
}

std::vector<problem_detail> with_refused(std::vector<problem_detail> rejected,
                                         const std::vector<refused_event>& refused) {
  std::vector<problem_detail> out;
  auto next = rejected.begin();
  uint32_t index = 0; // in the request, of the event that is number `valid` of those read
  uint32_t valid = 0;
  for (const auto& event : refused) {
    for (; valid <= event.at; ++index) {
      if (next != rejected.end() && next->index == index)
        out.push_back(std::move(*next++));
      else
        ++valid;
    }
    out.push_back({index - 1, event.code, {}, event.detail});
  }
  std::move(next, rejected.end(), std::back_inserter(out));
  return out;
}

std::string ingest_json(const ingest_outcome& outcome,
                        const std::vector<problem_detail>& rejected) {
  if (!outcome.refused.empty()) {
    auto stored = outcome;
    stored.refused.clear();
    return ingest_json(stored, with_refused(rejected, outcome.refused));
  }
  // By hand: the common case is the hot path.
  std::string out = "{\"stored\":" + std::to_string(outcome.stored)
                    + ",\"duplicates\":" + std::to_string(outcome.duplicates) + ",\"rejected\":";
  out += rejected.empty() ? "[]" : dump(to_json(rejected));
  out += ",\"durability\":\"";
  out += outcome.queued ? "queued" : outcome.spooled ? "spooled" : "committed";
  out += "\"}";
  return out;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
}

} // namespace phi::api
