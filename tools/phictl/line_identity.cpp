#include "tools/phictl/line_identity.hpp"

#include "protocol/text/json_text.hpp"

#include <nlohmann/json.hpp>

#include <optional>

namespace phi::ctl {
namespace {

/// Whether a string with its quotes says `id`, however it is escaped.
bool says_id(std::string_view quoted) {
  return quoted == R"("id")"
         || (quoted.find('\\') != quoted.npos
             && nlohmann::json::parse(quoted, nullptr, false) == "id");
}

/// Where the value of the member `id` of the object at `begin` is; nothing: it has none. Does not
/// call itself: what is inside is as deep as somebody likes.
std::optional<size_t> value_of_id(std::string_view text, size_t begin) {
  size_t depth = 0;
  for (auto at = begin; at < text.size(); ++at) {
    char c = text[at];
    if (c == '{' || c == '[')
      ++depth;
    else if (c == '}' || c == ']')
      --depth;
    if (depth == 0)
      break;
    if (c != '"')
      continue;
    auto end = end_of_json_string(text, at);
    if (end == text.npos)
      break;
    auto colon = text.find_first_not_of(json_blanks, end + 1);
    if (depth == 1 && colon != text.npos && text[colon] == ':'
        && says_id(text.substr(at, end + 1 - at)))
      return std::min(text.find_first_not_of(json_blanks, colon + 1), text.size());
    at = end;
  }
  return std::nullopt;
}

/// The length of a value that the service takes for no id; 0: it is one, or wrong.
size_t length_of_none(std::string_view text, size_t at) {
  constexpr std::string_view null = "null";
  constexpr std::string_view empty = R"("")";
  for (auto none : {null, empty})
    if (text.substr(at).starts_with(none)
        && text.substr(at + none.size()).find_first_of(",} \t\r\n") == 0)
      return none.size();
  return 0;
}

} // namespace

std::string with_identity(std::string line, std::string_view id) {
  auto begin = line.find_first_not_of(json_blanks);
  if (begin == line.npos || line[begin] != '{')
    return line;
  auto quoted = '"' + std::string{id} + '"';
  if (auto value = value_of_id(line, begin)) {
    if (auto length = length_of_none(line, *value))
      line.replace(*value, length, quoted);
    return line;
  }
  auto next = line.find_first_not_of(json_blanks, begin + 1);
  bool empty = next == line.npos || line[next] == '}';
  line.insert(begin + 1, R"("id":)" + quoted + (empty ? "" : ","));
  return line;
}

} // namespace phi::ctl
