#include "tools/phictl/log_format.hpp"

#include "protocol/text/rfc3339.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

namespace phi::ctl {
namespace {

using json = nlohmann::ordered_json;

/// What a log may say of a request; empty or "-": nothing.
struct logged_request {
  std::string time; ///< RFC 3339
  std::string method, path, address, login, agent, referrer;
  std::optional<int> status;
  std::optional<double> seconds;
  std::optional<int64_t> bytes;
};

/// As long as a text of an event may be by default (limits of the service), in bytes.
constexpr size_t longest_text = 256;

bool says_nothing(std::string_view text) {
  return text.empty() || text == "-";
}

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number out{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size())
    return {};
  return out;
}

/// Programs name themselves; what names no browser is one as well.
bool is_bot(std::string agent) {
  std::transform(agent.begin(), agent.end(), agent.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  for (const auto* word : {"bot", "crawl", "spider", "slurp", "http://", "https://", "monitor"})
    if (agent.find(word) != agent.npos)
      return true;
  return says_nothing(agent) || !agent.starts_with("mozilla/");
}

/// Up to so many bytes, whole characters of UTF-8: the service takes no longer texts, and a long
/// path or agent is no reason to count less.
std::string shortened(std::string_view text, size_t most) {
  if (text.size() <= most)
    return std::string{text};
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80)
    --most;
  return std::string{text.substr(0, most)};
}

std::string without_query(std::string_view target) {
  return std::string{target.substr(0, target.find_first_of("?#"))};
}

json event_of(const logged_request& request) {
  json out{{"time", request.time}};
  out["route"] = says_nothing(request.path) ? "(unreadable)"
                                            : shortened(without_query(request.path), longest_text);
  if (!says_nothing(request.method))
    out["method"] = request.method;
  if (request.status && *request.status >= 100 && *request.status <= 599) // 0: nothing was answered
    out["status"] = *request.status;
  if (request.seconds)
    out["durationMs"] = std::round(*request.seconds * 1e6) / 1e3;
  if (!says_nothing(request.login))
    out["user"] = shortened(request.login, longest_text);
  else if (!says_nothing(request.address))
    out["user"] = shortened(request.address + " " + request.agent, longest_text);
  if (out.contains("user"))
    out["userKind"] = is_bot(request.agent)         ? "bot"
                      : says_nothing(request.login) ? "visitor"
                                                    : "user";
  if (request.bytes)
    out["extra"]["bytes"] = *request.bytes;
  if (!says_nothing(request.referrer))
    out["extra"]["referrer"] = without_query(request.referrer);
  return out;
}

/// "GET /a?b HTTP/1.1". What is not so is of a client that speaks something else: it has no path.
void take_request_line(std::string_view line, logged_request& into) {
  auto first = line.find(' ');
  auto last = line.rfind(' ');
  if (first == line.npos || !line.substr(last + 1).starts_with("HTTP/") || last == first)
    return;
  into.method = line.substr(0, first);
  into.path = line.substr(first + 1, last - first - 1);
}

/// "10/Oct/2000:13:55:36 -0700", as RFC 3339 has it; empty: it is no such time.
std::string time_of_log(std::string_view text) {
  constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 26 || text[2] != '/' || text[6] != '/' || text[11] != ':' || text[20] != ' ')
    return {};
  auto month = std::find(months.begin(), months.end(), text.substr(3, 3));
  if (month == months.end())
    return {};
  auto number = std::to_string(month - months.begin() + 101).substr(1);
  auto out = std::string{text.substr(7, 4)} + "-" + number + "-" + std::string{text.substr(0, 2)}
             + "T" + std::string{text.substr(12, 8)} + std::string{text.substr(21, 3)} + ":"
             + std::string{text.substr(24, 2)};
  return parse_rfc3339(out) ? out : std::string{};
}

/// Goes through the parts of a line of Apache's or nginx's log.
class log_line {
public:
  explicit log_line(std::string_view line) : rest_(line) {}

  /// Up to a blank.
  std::optional<std::string> word() { return up_to(' '); }
  /// Up to a blank with what follows it, which is left.
  std::optional<std::string> up_to_text(std::string_view behind) {
    auto at = rest_.find(behind);
    if (at == rest_.npos)
      return {};
    std::string out{rest_.substr(0, at)};
    rest_.remove_prefix(at);
    skip_blank();
    return out;
  }
  /// Between these two.
  std::optional<std::string> between(char begin, char end) {
    if (!rest_.starts_with(begin))
      return {};
    rest_.remove_prefix(1);
    std::string out;
    while (!rest_.empty() && rest_.front() != end) {
      if (end == '"' && rest_.front() == '\\'
          && rest_.size() > 1) { // what it escapes stays escaped
        out += rest_.front();
        rest_.remove_prefix(1);
      }
      out += rest_.front();
      rest_.remove_prefix(1);
    }
    if (rest_.empty())
      return {};
    rest_.remove_prefix(1);
    skip_blank();
    return out;
  }
  bool at_end() const { return rest_.empty(); }

private:
  std::optional<std::string> up_to(char end) {
    if (rest_.empty())
      return {};
    auto at = std::min(rest_.find(end), rest_.size());
    std::string out{rest_.substr(0, at)};
    rest_.remove_prefix(at);
    skip_blank();
    return out;
  }
  void skip_blank() {
    if (rest_.starts_with(' '))
      rest_.remove_prefix(1);
  }

  std::string_view rest_;
};

/// `host ident user [time] "request" status bytes`, and with `combined` `"referrer" "agent"`. More
/// may stand behind them.
class apache_converter : public line_converter {
public:
  explicit apache_converter(bool combined) : combined_(combined) {}

  converted_line convert(std::string_view line) override {
    log_line parts{line};
    logged_request request;
    auto address = parts.word();
    auto identity = parts.word();
    auto login = parts.up_to_text(" [");
    auto time = parts.between('[', ']');
    auto request_line = parts.between('"', '"');
    auto status = parts.word();
    auto bytes = parts.word();
    if (!address || !identity || !login || !time || !request_line || !status || !bytes)
      return {.event = {}, .why = wrong()};
    request.time = time_of_log(*time);
    if (request.time.empty())
      return {.event = {}, .why = "the time is not like 10/Oct/2000:13:55:36 -0700"};
    if (combined_) {
      auto referrer = parts.between('"', '"');
      auto agent = parts.between('"', '"');
      if (!referrer || !agent)
        return {.event = {}, .why = wrong() + "; a line that ends before is of --format common"};
      request.referrer = *referrer;
      request.agent = *agent;
    }
    request.address = *address;
    request.login = *login;
    request.status = number_in<int>(*status);
    request.bytes = number_in<int64_t>(*bytes);
    take_request_line(*request_line, request);
    return {.event = event_of(request), .why = {}};
  }

private:
  std::string wrong() const {
    return std::string{"the line is not like HOST IDENT USER [TIME] \"REQUEST\" STATUS BYTES"}
           + (combined_ ? " \"REFERRER\" \"AGENT\"" : "");
  }

  bool combined_;
};

std::string text_of_number(const json& number) {
  std::array<char, 32> out{};
  auto [end, error] = std::to_chars(out.data(), out.data() + out.size(), number.get<double>());
  return {out.data(), end};
}

std::string text_of(const json& object, const char* name) {
  auto found = object.find(name);
  if (found == object.end())
    return {};
  if (found->is_string())
    return found->get<std::string>();
  if (found->is_number_integer())
    return std::to_string(found->get<int64_t>());
  return found->is_number() ? text_of_number(*found) : std::string{};
}

template <class Number>
std::optional<Number> number_of(const json& object, const char* name) {
  return number_in<Number>(text_of(object, name));
}

/// Seconds since 1970 as a number or its text, RFC 3339, or as Apache has it. Empty: none of these.
std::string time_in(const std::string& text) {
  if (auto seconds = number_in<double>(text); seconds && std::abs(*seconds) < 1e11)
    return format_rfc3339(static_cast<int64_t>(std::llround(*seconds * 1e6)));
  return parse_rfc3339(text) ? text : time_of_log(text);
}

constexpr const char* no_json = "the line is no JSON object";
constexpr const char* no_time = "the line says no time that can be read";

/// https://caddyserver.com/docs/caddyfile/directives/log: an object a line. What is logged of other
/// things than requests is left out.
class caddy_converter : public line_converter {
public:
  converted_line convert(std::string_view line) override {
    auto logged = json::parse(line, nullptr, false);
    if (!logged.is_object())
      return {.event = {}, .why = no_json};
    auto asked = logged.find("request");
    if (asked == logged.end() || !asked->is_object())
      return {.event = {}, .why = {}, .left_out = true};
    logged_request request;
    request.time = time_in(text_of(logged, "ts"));
    if (request.time.empty())
      return {.event = {}, .why = no_time};
    request.method = text_of(*asked, "method");
    request.path = text_of(*asked, "uri");
    request.address = text_of(*asked, "client_ip");
    if (request.address.empty())
      request.address = text_of(*asked, "remote_ip");
    request.login = text_of(logged, "user_id");
    request.status = number_of<int>(logged, "status");
    request.seconds = number_of<double>(logged, "duration");
    request.bytes = number_of<int64_t>(logged, "size");
    auto headers = asked->value("headers", json::object());
    request.agent = first_of(headers, "User-Agent");
    request.referrer = first_of(headers, "Referer");
    return {.event = event_of(request), .why = {}};
  }

private:
  static std::string first_of(const json& headers, const char* name) {
    auto found = headers.is_object() ? headers.find(name) : headers.end();
    bool there = headers.is_object() && found != headers.end() && found->is_array()
                 && !found->empty() && found->front().is_string();
    return there ? found->front().get<std::string>() : std::string{};
  }
};

/// nginx with a `log_format ... escape=json`, whose fields have the names of nginx's variables.
class nginx_converter : public line_converter {
public:
  converted_line convert(std::string_view line) override {
    auto logged = json::parse(line, nullptr, false);
    if (!logged.is_object())
      return {.event = {}, .why = no_json};
    logged_request request;
    for (const auto* name : {"time_iso8601", "msec", "time_local", "time", "timestamp"})
      if (request.time.empty())
        request.time = time_in(text_of(logged, name));
    if (request.time.empty())
      return {.event = {}, .why = std::string{no_time} + " (time_iso8601, msec or time_local)"};
    take_request_line(text_of(logged, "request"), request);
    if (auto method = text_of(logged, "request_method"); !method.empty())
      request.method = method;
    for (const auto* name : {"uri", "request_uri"})
      if (auto path = text_of(logged, name); !path.empty())
        request.path = path;
    request.address = text_of(logged, "remote_addr");
    request.login = text_of(logged, "remote_user");
    request.agent = text_of(logged, "http_user_agent");
    request.referrer = text_of(logged, "http_referer");
    request.status = number_of<int>(logged, "status");
    request.seconds = number_of<double>(logged, "request_time");
    request.bytes = number_of<int64_t>(logged, "body_bytes_sent");
    return {.event = event_of(request), .why = {}};
  }
};

/// The cells of a line (RFC 4180); nothing: a quote does not end, or stands where none may.
std::optional<std::vector<std::string>> cells_of(std::string_view line) {
  std::vector<std::string> out(1);
  for (size_t at = 0; at < line.size(); ++at) {
    if (line[at] == ',') {
      out.emplace_back();
    } else if (line[at] != '"') {
      out.back() += line[at];
    } else {
      if (!out.back().empty())
        return {};
      for (++at; at < line.size(); ++at) {
        if (line[at] != '"')
          out.back() += line[at];
        else if (line.substr(at + 1).starts_with('"'))
          out.back() += line[++at];
        else
          break;
      }
      if (at >= line.size() || (at + 1 < line.size() && line[at + 1] != ','))
        return {};
    }
  }
  return out;
}

/// A table whose first line says which field of an event a column is; `extra.NAME` goes into extra.
class csv_converter : public line_converter {
public:
  bool take_header(std::string_view line) override {
    columns_ = cells_of(line).value_or(std::vector<std::string>{});
    return true;
  }

  converted_line convert(std::string_view line) override {
    if (line.empty())
      return {.event = {}, .why = {}, .left_out = true};
    auto cells = cells_of(line);
    if (!cells)
      return {.event = {}, .why = "a quoted cell does not end on its line, or has text around it"};
    if (cells->size() != columns_.size())
      return {.event = {},
              .why = "the line has " + std::to_string(cells->size()) + " cells, the first one "
                     + std::to_string(columns_.size())};
    json out = json::object();
    for (size_t i = 0; i < columns_.size(); ++i)
      if (!(*cells)[i].empty())
        put(out, columns_[i], (*cells)[i]);
    return {.event = std::move(out), .why = {}};
  }

private:
  /// What is no number goes on as it is: the service says what is wrong with it.
  static void put(json& event, const std::string& column, const std::string& cell) {
    constexpr std::string_view extra = "extra.";
    if (column.starts_with(extra))
      event["extra"][column.substr(extra.size())] = cell;
    else if (auto status = number_in<int>(cell); status && column == "status")
      event[column] = *status;
    else if (auto duration = number_in<double>(cell); duration && column == "durationMs")
      event[column] = *duration;
    else
      event[column] = cell;
  }

  std::vector<std::string> columns_;
};

} // namespace

std::unique_ptr<line_converter> make_converter(std::string_view format) {
  if (format == "combined" || format == "common")
    return std::make_unique<apache_converter>(format == "combined");
  if (format == "caddy")
    return std::make_unique<caddy_converter>();
  if (format == "nginx-json")
    return std::make_unique<nginx_converter>();
  if (format == "csv")
    return std::make_unique<csv_converter>();
  return nullptr;
}

} // namespace phi::ctl
