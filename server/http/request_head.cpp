#include "server/http/request_head.hpp"

#include <algorithm>
#include <strings.h>

namespace phi::http {
namespace {

bool is_called(std::string_view field, std::string_view name) {
  return field.size() == name.size() && strncasecmp(field.data(), name.data(), name.size()) == 0;
}

} // namespace

request_head read_head(std::string_view head) {
  head.remove_prefix(std::min(head.find_first_not_of("\r\n"), head.size()));
  auto next_line = [&] {
    auto end = std::min(head.find("\r\n"), head.size());
    auto line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    return line;
  };
  auto first = next_line();
  auto space = std::min(first.find(' '), first.size());
  request_head out;
  out.fields.method = first.substr(0, space);
  out.fields.target = first.substr(space, first.rfind(' ') - space);
  out.fields.target.remove_prefix(std::min<size_t>(1, out.fields.target.size()));
  for (auto line = next_line(); !line.empty(); line = next_line()) {
    auto colon = std::min(line.find(':'), line.size());
    auto name = line.substr(0, colon);
    auto value = line.substr(std::min(colon + 1, line.size()));
    auto begin = value.find_first_not_of(" \t");
    value = begin == value.npos ? std::string_view{}
                                : value.substr(begin, value.find_last_not_of(" \t") + 1 - begin);
    out.fields.take(name, value);
    if (is_called(name, "X-Request-Id"))
      out.request_id = value;
    if (is_called(name, "X-Forwarded-For"))
      out.forwarded_for.append(out.forwarded_for.empty() ? "" : ",").append(value);
  }
  return out;
}

} // namespace phi::http
