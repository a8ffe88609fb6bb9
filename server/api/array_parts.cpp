#include "server/api/array_parts.hpp"

#include "protocol/text/json_text.hpp"

#include <algorithm>
#include <string>

namespace phi::api {
namespace {

std::string_view trimmed(std::string_view text) {
  auto begin = text.find_first_not_of(json_blanks);
  if (begin == text.npos)
    return {};
  return text.substr(begin, text.find_last_not_of(json_blanks) + 1 - begin);
}

/// Where the value at `begin` ends: at a comma or a bracket that is not its own. Whatever it is, it
/// is one: behind its last bracket or quote there is nothing more.
size_t end_of_value(std::string_view text, size_t begin) {
  std::string open; // the brackets that are to come
  bool begun = false;
  bool whole = false;
  for (auto at = begin; at < text.size(); ++at) {
    char c = text[at];
    if (open.empty() && (c == ',' || c == ']'))
      return at;
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
      continue;
    bool opens = c == '"' || c == '{' || c == '[';
    if (open.empty() && (whole || (opens && begun)))
      return text.npos;
    begun = true;
    if (c == '"') {
      at = end_of_json_string(text, at);
      if (at == text.npos)
        return at;
    } else if (opens) {
      open += c == '{' ? '}' : ']';
    } else if (c == '}' || c == ']') {
      if (open.empty() || open.back() != c)
        return text.npos;
      open.pop_back();
    }
    whole = open.empty() && (c == '"' || c == '}' || c == ']');
  }
  return text.npos;
}

} // namespace

bool holds_no_number(std::string_view text) {
  for (size_t at = 0; at < text.size(); ++at)
    if (text[at] == '"')
      at = std::min(end_of_json_string(text, at), text.size());
    else if (auto rest = text.substr(at); rest.starts_with("NaN") || rest.starts_with("Infinity"))
      return true;
  return false;
}

std::optional<std::vector<std::string_view>> parts_of_array(std::string_view text, size_t most) {
  text = trimmed(text);
  if (!text.starts_with('[') || !text.ends_with(']'))
    return std::nullopt;
  std::vector<std::string_view> out;
  for (size_t begin = 1; out.size() <= most;) {
    auto end = end_of_value(text, begin);
    if (end == text.npos)
      return std::nullopt;
    out.push_back(trimmed(text.substr(begin, end - begin)));
    if (out.back().empty())
      return std::nullopt;
    if (text[end] == ']')
      return end + 1 == text.size() ? std::optional{std::move(out)} : std::nullopt;
    begin = end + 1;
  }
  return out;
}

} // namespace phi::api
