#include "server/observe/exposition.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace phi {
namespace {

std::string_view name_of(metric_type type) {
  switch (type) {
    case metric_type::counter: return "counter";
    case metric_type::gauge: return "gauge";
    case metric_type::histogram: return "histogram";
    case metric_type::info: return "info";
  }
  return "unknown";
}

/// Backslashes and ends of lines, and quotes where they mean something.
std::string escaped(std::string_view text, bool quotes) {
  std::string out;
  for (char c : text)
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quotes)
      out += "\\\"";
    else
      out += c;
  return out;
}

} // namespace

void exposition::begin(std::string_view name, metric_type type, std::string_view help) {
  name_ = name;
  type_ = type;
  help_ = help;
  begun_ = false;
}

void exposition::put(labels marks, const time_counts& times) {
  uint64_t up_to = 0;
  for (size_t i = 0; i < times.in.size(); ++i) {
    up_to += times.in[i];
    bool bounded = i < time_counts::bounds_ms.size();
    line("_bucket", marks, std::to_string(up_to),
         {"le", bounded ? bound(time_counts::bounds_ms[i] / 1000) : "+Inf"});
  }
  line("_sum", marks, number(std::chrono::duration<double>(times.total).count()));
  line("_count", marks, std::to_string(up_to));
}

std::string exposition::finish() {
  if (open_metrics())
    text_ += "# EOF\n";
  return std::move(text_);
}

std::string_view exposition::suffix() const {
  switch (type_) {
    case metric_type::counter: return "_total";
    case metric_type::info: return "_info";
    default: return "";
  }
}

/// OpenMetrics has one spelling of each bound, with a point (section "Considerations: Canonical
/// Numbers").
std::string exposition::bound(double seconds) const {
  auto out = number(seconds);
  return open_metrics() && out.find('.') == out.npos ? out + ".0" : out;
}

std::string exposition::number(double value) {
  std::array<char, 512> text; // the largest number has 309 digits
  auto end =
    std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed).ptr;
  return {text.data(), end};
}

/// In OpenMetrics a family is called as its samples without their suffix; before, as a counter's
/// samples are, and there was no type for information.
void exposition::head() {
  auto name =
    open_metrics() || type_ == metric_type::histogram ? name_ : name_ + std::string{suffix()};
  auto type = type_ == metric_type::info && !open_metrics() ? metric_type::gauge : type_;
  text_.append("# HELP ").append(name).append(" ");
  text_.append(escaped(help_, open_metrics())).append("\n");
  text_.append("# TYPE ").append(name).append(" ").append(name_of(type)).append("\n");
  for (std::string_view unit : {"seconds", "bytes"})
    if (open_metrics() && name.ends_with("_" + std::string{unit}))
      text_.append("# UNIT ").append(name).append(" ").append(unit).append("\n");
}

void exposition::line(std::string_view suffix, labels marks, std::string_view value,
                      metric_label more) {
  if (!std::exchange(begun_, true))
    head();
  text_.append(name_).append(suffix);
  bool first = true;
  for (const auto& [name, text] : marks)
    label(name, text, std::exchange(first, false));
  if (!more.name.empty())
    label(more.name, more.value, std::exchange(first, false));
  text_.append(first ? " " : "} ").append(value).append("\n");
}

void exposition::label(std::string_view name, std::string_view value, bool first) {
  text_.append(first ? "{" : ",").append(name).append("=\"");
  text_.append(escaped(value, true)).append("\"");
}

} // namespace phi
