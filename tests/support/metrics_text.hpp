#pragma once
/// Reads metrics as strictly as the two formats are written down: Prometheus' exposition formats
/// (text 0.0.4) and OpenMetrics 1.0.0. Shares nothing with what writes them.

#include <cctype>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace phi::testing {

struct metrics_text {
  std::map<std::string, std::string> types;    ///< by the name of the family
  std::map<std::string, std::string> families; ///< the text of each, with its end of line
  std::map<std::string, double> samples;       ///< by `name{label="value"}`, as it is written
  std::vector<std::string> faults;             ///< against the format; none: it is valid

  /// The names of all samples, without their labels.
  std::set<std::string> names() const {
    std::set<std::string> out;
    for (const auto& [sample, value] : samples)
      out.insert(sample.substr(0, sample.find('{')));
    return out;
  }
};

class metrics_reader {
public:
  explicit metrics_reader(bool open_metrics) : open_metrics_(open_metrics) {}

  metrics_text read(const std::string& text) {
    if (text.empty() || text.back() != '\n')
      fault("the last line has no end");
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
      if (ended_)
        fault("behind # EOF: " + line);
      line.starts_with("#") ? comment(line) : sample(line);
      if (!family_.empty())
        out_.families[family_] += line + "\n";
    }
    if (open_metrics_ != ended_)
      fault("# EOF ends OpenMetrics, and nothing else");
    for (const auto& [series, buckets] : buckets_)
      check_histogram(series, buckets);
    return std::move(out_);
  }

private:
  void fault(const std::string& what) { out_.faults.push_back(what); }

  static bool is_name(const std::string& text) {
    if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])))
      return false;
    for (unsigned char c : text)
      if (!std::isalnum(c) && c != '_')
        return false;
    return true;
  }

  void comment(const std::string& line) {
    if (line == "# EOF") {
      ended_ = true;
      family_.clear();
      return;
    }
    std::istringstream in{line};
    std::string hash, keyword, name, rest;
    in >> hash >> keyword >> name;
    std::getline(in, rest);
    rest = rest.empty() ? rest : rest.substr(1);
    if (name != family_)
      enter(name);
    if (sampled_)
      fault("behind a sample: " + line);
    if (!described_.insert(keyword + " " + name).second)
      fault("twice: " + line);
    if (keyword == "TYPE")
      take_type(name, rest);
    else if (keyword == "UNIT" && open_metrics_)
      name.ends_with("_" + rest) ? void() : fault("the unit does not end the name: " + line);
    else if (keyword != "HELP" || rest.empty())
      fault("no such comment: " + line);
  }

  void enter(const std::string& name) {
    if (!is_name(name))
      fault("no name: " + name);
    if (!entered_.insert(name).second)
      fault("its lines are not together: " + name);
    family_ = name;
    sampled_ = false;
  }

  void take_type(const std::string& name, const std::string& type) {
    const std::set<std::string> known =
      open_metrics_ ? std::set<std::string>{"counter", "gauge", "histogram", "info"}
                    : std::set<std::string>{"counter", "gauge", "histogram"};
    if (!known.contains(type))
      fault("no such type: " + type);
    out_.types[name] = type;
  }

  /// With what a sample of the family may end.
  std::set<std::string> endings() const {
    const auto& type = out_.types.at(family_);
    if (type == "histogram")
      return {"_bucket", "_sum", "_count"};
    if (open_metrics_ && type == "counter")
      return {"_total"};
    if (open_metrics_ && type == "info")
      return {"_info"};
    return {""};
  }

  void sample(const std::string& line) {
    auto name = line.substr(0, line.find_first_of("{ "));
    if (!out_.types.contains(family_))
      return fault("no type: " + line);
    bool fits = false;
    for (const auto& ending : endings())
      fits |= name == family_ + ending;
    if (!fits)
      return fault("not of " + family_ + ": " + line);
    if (out_.types.at(family_) == "counter" && !name.ends_with("_total"))
      fault("a counter ends with _total: " + line);
    sampled_ = true;
    size_t at = name.size();
    std::string bound;
    if (line[at] == '{' && !labels(line, at, bound))
      return fault("no labels: " + line);
    auto value = line.substr(at + 1);
    char* end = nullptr;
    auto number = std::strtod(value.c_str(), &end);
    if (line[at] != ' ' || value.empty() || *end != 0 || std::isspace(value[0]))
      return fault("no number: " + line);
    if (!out_.samples.emplace(line.substr(0, at), number).second)
      fault("twice: " + line);
    if (out_.types.at(family_) == "histogram")
      bucket(name, line.substr(name.size(), at - name.size()), bound, number);
  }

  /// From a brace to behind the other.
  bool labels(const std::string& line, size_t& at, std::string& bound) {
    std::set<std::string> seen;
    while (line[at] == '{' || line[at] == ',') {
      auto equals = line.find('=', ++at);
      if (equals == line.npos || line[equals + 1] != '"')
        return false;
      auto name = line.substr(at, equals - at);
      if (!is_name(name) || !seen.insert(name).second)
        return false;
      std::string value;
      for (at = equals + 2; at < line.size() && line[at] != '"'; ++at) {
        if (line[at] == '\\' && std::string{"\\\"n"}.find(line[++at]) == std::string::npos)
          return false;
        value += line[at];
      }
      if (name == "le")
        bound = value;
      ++at;
    }
    return line[at++] == '}';
  }

  struct histogram {
    std::vector<std::pair<std::string, double>> buckets; ///< bound and count, in their order
    std::optional<double> count;
    bool sum = false;
  };

  void bucket(const std::string& name, std::string labels_text, const std::string& bound,
              double number) {
    if (auto at = labels_text.find("le=\""); at != labels_text.npos)
      labels_text.erase(at > 1 ? at - 1 : at,
                        labels_text.find('"', at + 4) + 1 - at + (at > 1 ? 1 : 0));
    if (labels_text == "{}")
      labels_text.clear();
    auto& of = buckets_[family_ + labels_text];
    if (name.ends_with("_bucket"))
      of.buckets.emplace_back(bound, number);
    else if (name.ends_with("_count"))
      of.count = number;
    else
      of.sum = true;
  }

  void check_histogram(const std::string& series, const histogram& found) {
    if (found.buckets.empty() || found.buckets.back().first != "+Inf" || !found.sum
        || found.count != found.buckets.back().second)
      fault("not whole: " + series);
    for (size_t i = 1; i < found.buckets.size(); ++i) {
      if (found.buckets[i].second < found.buckets[i - 1].second)
        fault("buckets that are not up to their bound: " + series);
      if (found.buckets[i].first != "+Inf"
          && std::stod(found.buckets[i].first) <= std::stod(found.buckets[i - 1].first))
        fault("bounds that do not rise: " + series);
    }
    for (const auto& [bound, count] : found.buckets)
      if (open_metrics_ && bound != "+Inf" && bound.find('.') == bound.npos)
        fault("a bound without its point: " + series + " " + bound);
  }

  bool open_metrics_;
  bool ended_ = false;
  bool sampled_ = false;
  std::string family_;
  std::set<std::string> entered_;
  std::set<std::string> described_;
  std::map<std::string, histogram> buckets_;
  metrics_text out_;
};

inline metrics_text read_metrics(const std::string& text) {
  return metrics_reader{false}.read(text);
}

inline metrics_text read_open_metrics(const std::string& text) {
  return metrics_reader{true}.read(text);
}

} // namespace phi::testing
