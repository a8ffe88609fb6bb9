#include "server/api/query_params.hpp"

#include "config/keys.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/statistics/time_zones.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>

namespace phi::api {
namespace {

constexpr uint32_t most_top = 200;
constexpr size_t longest_filter = 1024;

using params = std::vector<std::pair<std::string, std::string>>;

int hex(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (i + 2 >= text.size() || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
      return std::nullopt;
    out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
    i += 2;
  }
  return out;
}

/// Databases and JSON take nothing else.
bool is_utf8(const std::string& text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

/// The parameters a question has.
std::vector<std::string> names_of(query_kind kind) {
  switch (kind) {
    case query_kind::daily: return {"start", "end", "timezone", "feature", "route", "method"};
    case query_kind::daily_features: return {"start", "end", "timezone", "feature"};
    case query_kind::summary: return {"start", "end", "timezone", "feature", "include", "top"};
    default: break; // not on HTTP
  }
  return {};
}

class reading {
public:
  reading(query_kind kind, const query_defaults& defaults) : kind_(kind), defaults_(defaults) {
    out_.what.kind = kind;
    out_.what.zone = defaults.zone;
  }

  read_query run(std::string_view query_string) {
    auto list = parse_query_string(query_string);
    if (!list) {
      wrong("", "the query string holds a broken %-escape, or text that is not UTF-8");
      return std::move(out_);
    }
    auto known = names_of(kind_);
    for (size_t i = 0; i < list->size(); ++i) {
      const auto& [name, value] = (*list)[i];
      bool again = std::any_of(list->begin(), list->begin() + static_cast<ptrdiff_t>(i),
                               [&](const auto& other) { return other.first == name; });
      if (again)
        wrong(name, "the parameter is given twice");
      else if (std::find(known.begin(), known.end(), name) == known.end())
        unknown(name, known);
      else
        take(name, value);
    }
    check_range();
    return std::move(out_);
  }

private:
  void wrong(const std::string& name, std::string message) {
    out_.errors.push_back(
      {.code = error_code::invalid_query, .pointer = name, .message = std::move(message)});
  }

  void unknown(const std::string& name, const std::vector<std::string>& known) {
    auto best = closest(name, known);
    std::string all;
    for (const auto& one : known)
      all += (all.empty() ? "" : ", ") + one;
    wrong(name, best.empty() ? "unknown parameter; there are " + all
                             : "unknown parameter; did you mean " + best + "?");
  }

  void take(const std::string& name, const std::string& value) {
    if (name == "start")
      take_date(name, value, out_.what.first_day);
    else if (name == "end")
      take_date(name, value, out_.what.last_day);
    else if (name == "timezone")
      take_zone(value);
    else if (name == "feature")
      take_filter(name, value, out_.what.feature);
    else if (name == "route")
      take_filter(name, value, out_.what.route);
    else if (name == "method")
      take_filter(name, value, out_.what.method);
    else if (name == "include")
      take_include(value);
    else if (name == "top")
      take_top(value);
  }

  void take_date(const std::string& name, const std::string& value, std::optional<int32_t>& to) {
    to = parse_date(value);
    if (!to)
      wrong(name, "expected a date such as 2026-01-31");
  }

  void take_zone(const std::string& value) {
    if (is_time_zone(value)) {
      out_.what.zone = value;
      return;
    }
    if (value.empty())
      return wrong("timezone", "the time zone is empty; give a name such as Europe/Berlin");
    auto best = closest_time_zone(value);
    wrong("timezone", "unknown time zone"
                        + (best.empty() ? ", expected an IANA name such as Europe/Berlin"
                                        : "; did you mean " + best + "?"));
  }

  void take_filter(const std::string& name, const std::string& value,
                   std::optional<std::string>& to) {
    if (value.size() > longest_filter || value.find('\0') != value.npos)
      wrong(name, "the text is too long or holds the character NUL");
    else if (!value.empty())
      to = value;
  }

  void take_top(const std::string& value) {
    int64_t top = 0;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), top);
    if (error != std::errc{} || end != value.data() + value.size() || top <= 0)
      return wrong("top", "expected a whole number from 1 to 200");
    out_.what.top = static_cast<uint32_t>(std::min<int64_t>(top, most_top));
  }

  void take_include(const std::string& value) {
    auto& parts = out_.what.include;
    const std::vector<std::pair<std::string, bool*>> known{
      {"routes", &parts.routes},         {"methods", &parts.methods},
      {"status", &parts.status},         {"instances", &parts.instances},
      {"actions", &parts.actions},       {"latency", &parts.latency},
      {"unique_ips", &parts.unique_ips}, {"user_kinds", &parts.user_kinds}};
    constexpr std::string_view separators = ",; \t\r\n";
    for (size_t at = value.find_first_not_of(separators); at != value.npos;) {
      auto end = std::min(value.find_first_of(separators, at), value.size());
      auto word = value.substr(at, end - at);
      auto found =
        std::find_if(known.begin(), known.end(), [&](const auto& k) { return k.first == word; });
      if (word == "all")
        for (const auto& [name, flag] : known)
          *flag = true;
      else if (found != known.end())
        *found->second = true;
      else
        wrong("include", "unknown part " + word.substr(0, 40)
                           + "; there are routes, methods, status, instances,"
                             " actions, latency, unique_ips, user_kinds, all");
      at = value.find_first_not_of(separators, end);
    }
  }

  void check_range() {
    const auto& what = out_.what;
    bool required = kind_ == query_kind::daily || kind_ == query_kind::daily_features;
    auto complain = [&](const char* name, bool there) {
      bool already = std::any_of(out_.errors.begin(), out_.errors.end(),
                                 [&](const auto& e) { return e.pointer == name; });
      if (required && !there && !already)
        wrong(name, "the parameter is required: a date such as 2026-01-31");
    };
    complain("start", what.first_day.has_value());
    complain("end", what.last_day.has_value());
    if (!what.first_day || !what.last_day)
      return;
    if (*what.last_day < *what.first_day)
      wrong("end", "end must not be before start");
    else if (*what.last_day - *what.first_day + 1 > defaults_.max_range_days)
      wrong("end",
            "the range may have up to " + std::to_string(defaults_.max_range_days) + " days");
  }

  query_kind kind_;
  const query_defaults& defaults_;
  read_query out_;
};

} // namespace

std::optional<params> parse_query_string(std::string_view text) {
  params out;
  for (size_t at = 0; at < text.size();) {
    auto end = std::min(text.find('&', at), text.size());
    auto pair = text.substr(at, end - at);
    auto equals = std::min(pair.find('='), pair.size());
    auto name = percent_decode(pair.substr(0, equals));
    auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value || !is_utf8(*name) || !is_utf8(*value))
      return std::nullopt;
    if (!pair.empty())
      out.emplace_back(std::move(*name), std::move(*value));
    at = end + 1;
  }
  return out;
}

read_query read_question(query_kind kind, std::string_view query_string,
                         const query_defaults& defaults) {
  return reading{kind, defaults}.run(query_string);
}

} // namespace phi::api
