#include "server/api/answer_format.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string>

namespace phi::api {
namespace {

struct known_format {
  std::string_view name;
  std::string_view type;
};
/// The first is the one for whoever does not mind.
constexpr std::array formats{known_format{"json", "application/json"},
                             known_format{"csv", "text/csv; charset=utf-8; header=present"},
                             known_format{"ndjson", "application/x-ndjson"}};

std::string_view trimmed(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  if (first == text.npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string_view up_to(std::string_view text, char end) {
  return text.substr(0, text.find(end));
}

/// `0.8` as 800; nothing for what is no such number.
std::optional<int> weight_of(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')
      || (text.size() > 1 && text[1] != '.'))
    return {};
  int out = (text[0] - '0') * 1000;
  int unit = 100;
  for (auto digit : text.substr(std::min<size_t>(2, text.size()))) {
    if (digit < '0' || digit > '9')
      return {};
    out += (digit - '0') * unit;
    unit /= 10;
  }
  return std::min(out, 1000);
}

/// How well a range of Accept fits a type: 0: not at all; 3: exactly.
int fit(std::string_view range, std::string_view type) {
  if (range == type || (range == "application/ndjson" && type == "application/x-ndjson"))
    return 3;
  if (range == std::string{up_to(type, '/')} + "/*")
    return 2;
  return range == "*/*" ? 1 : 0;
}

struct preference {
  int fit = 0;
  int weight = 0;
};

/// The most exact range decides.
preference preference_for(std::string_view type, std::string_view accept) {
  preference out;
  while (!accept.empty()) {
    auto part = up_to(accept, ',');
    accept.remove_prefix(std::min(part.size() + 1, accept.size()));
    std::string range{trimmed(up_to(part, ';'))};
    std::transform(range.begin(), range.end(), range.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    int weight = 1000;
    for (auto rest = part; rest.find(';') != rest.npos;) {
      rest.remove_prefix(rest.find(';') + 1);
      auto parameter = trimmed(up_to(rest, ';'));
      if (parameter.starts_with("q=") || parameter.starts_with("Q="))
        weight = weight_of(parameter.substr(2)).value_or(0);
    }
    if (auto found = fit(range, type); found > out.fit)
      out = {found, weight};
  }
  return out;
}

} // namespace

std::string_view media_type_of(std::string_view format) {
  auto found = std::find_if(formats.begin(), formats.end(),
                            [&](const auto& known) { return known.name == format; });
  return found == formats.end() ? formats[0].type : found->type;
}

std::string_view accepted_format(std::string_view accept) {
  auto best = formats[0].name;
  int most = preference_for(up_to(formats[0].type, ';'), accept).weight;
  for (const auto& known : formats)
    if (auto weight = preference_for(up_to(known.type, ';'), accept).weight; weight > most) {
      best = known.name;
      most = weight;
    }
  return best;
}

std::string_view media_type_of(metrics_format format) {
  return format == metrics_format::open_metrics
           ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
           : "text/plain; version=0.0.4; charset=utf-8";
}

metrics_format accepted_metrics_format(std::string_view accept) {
  return preference_for("application/openmetrics-text", accept).weight
             > preference_for("text/plain", accept).weight
           ? metrics_format::open_metrics
           : metrics_format::prometheus;
}

} // namespace phi::api
