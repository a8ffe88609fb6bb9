#include "server/statistics/series_question.hpp"

#include "protocol/text/digits.hpp"
#include "server/statistics/answer_list.hpp"
#include "server/statistics/counted_range.hpp"

#include <algorithm>
#include <array>

namespace phi::statistics {
namespace {

constexpr uint32_t default_top = 20;
constexpr int64_t hour_us = 3'600'000'000;

// -- metrics --------------------------------------------------------------------------------------

json duration_of(const group_counts& counted, double us) {
  return counted.timed == 0 ? json{} : json(milliseconds(us));
}

template <int PerMille>
json quantile_of(const group_counts& counted) {
  return duration_of(counted, counted.timed == 0 ? 0 : counted.quantile_us(PerMille / 1000.0));
}

constexpr std::array metrics{
  series_metric{"events", "events", measure::events,
                [](const group_counts& counted) { return json(counted.n); }},
  series_metric{"errors", "errors", measure::details,
                [](const group_counts& counted) { return json(counted.errors()); }},
  series_metric{"error_rate", "errorRate", measure::details,
                [](const group_counts& counted) {
                  return counted.n == 0 ? json{}
                                        : json(static_cast<double>(counted.errors())
                                               / static_cast<double>(counted.n));
                }},
  series_metric{"users", "users", measure::users,
                [](const group_counts& counted) { return json(counted.users); }},
  series_metric{"addresses", "addresses", measure::addresses,
                [](const group_counts& counted) { return json(counted.addresses); }},
  series_metric{
    "avg", "avgMs", measure::details,
    [](const group_counts& counted) { return duration_of(counted, counted.average_us()); }},
  series_metric{"min", "minMs", measure::details,
                [](const group_counts& counted) {
                  return duration_of(counted, static_cast<double>(counted.min_us));
                }},
  series_metric{"max", "maxMs", measure::details,
                [](const group_counts& counted) {
                  return duration_of(counted, static_cast<double>(counted.max_us));
                }},
  series_metric{"p50", "p50Ms", measure::durations, quantile_of<500>},
  series_metric{"p90", "p90Ms", measure::durations, quantile_of<900>},
  series_metric{"p95", "p95Ms", measure::durations, quantile_of<950>},
  series_metric{"p99", "p99Ms", measure::durations, quantile_of<990>},
  series_metric{"p999", "p999Ms", measure::durations, quantile_of<999>},
};

constexpr std::array default_metrics{"events", "errors", "users"};

// -- attributes -----------------------------------------------------------------------------------

std::optional<attribute> attribute_of(std::string_view name) {
  auto found = std::find(attribute_names.begin(), attribute_names.end(), name);
  return found == attribute_names.end()
           ? std::nullopt
           : std::optional{static_cast<attribute>(found - attribute_names.begin())};
}

std::string names_of(attribute_set set) {
  std::string out;
  for (size_t i = 0; i < attributes; ++i)
    if ((set & set_of(static_cast<attribute>(i))) != 0)
      out += (out.empty() ? "" : ", ") + std::string{attribute_names[i]};
  return out;
}

/// By what a measure can be told, for people.
std::string_view told_by(measure kind) {
  switch (kind) {
    case measure::events:
      return "by feature, action, route, method, status and class, or by feature and instance";
    case measure::details: return "by feature, action, route, method, status and class";
    case measure::durations: return "by feature, route and method";
    case measure::users: return "by feature and user_kind";
    case measure::addresses: break;
  }
  return "only all together";
}

// -- reading --------------------------------------------------------------------------------------

class series_reader {
public:
  series_reader(const question_parameters& parameters, std::vector<parameter_complaint>& complaints)
    : parameters_(parameters),
      complaints_(complaints) {}

  series_question run() {
    out_.zone = parameters_.text("timezone").value_or("UTC");
    out_.range = {*parameters_.time("start"), *parameters_.time("end")};
    out_.every = *interval_of(parameters_.text("interval").value_or("day"));
    out_.top = parameters_.number("top").value_or(default_top);
    out_.by_name = parameters_.text("by").value_or("none");
    out_.query.own = parameters_.text("source") == "phi";
    if (auto by = attribute_of(out_.by_name))
      out_.query.by = {*by};
    read_filters();
    read_metrics();
    read_comparison();
    check_hours();
    return std::move(out_);
  }

private:
  void complain(std::string_view parameter, std::string message) {
    complaints_.push_back({parameter, std::move(message)});
  }

  void read_filters() {
    for (auto name : attribute_names) {
      auto kind = *attribute_of(name);
      if (kind == attribute::status_class)
        continue; // words, below
      for (auto& text : parameters_.texts(name)) {
        if (kind == attribute::status && !is_status(text))
          complain(name, "expected a status from 100 to 599");
        out_.query.choose(kind, std::move(text));
      }
    }
    for (const auto& word : parameters_.words("class"))
      out_.query.choose(attribute::status_class, word);
  }

  /// As it is counted: "0404" would be compared as a text, and be nobody's.
  static bool is_status(const std::string& text) {
    return text.size() == 3 && text[0] >= '1' && text[0] <= '5'
           && text.find_first_not_of("0123456789") == text.npos;
  }

  void read_metrics() {
    const auto used = out_.query.used();
    const auto asked = parameters_.words("metrics");
    for (const auto& metric : metrics) {
      auto is_default = std::find(default_metrics.begin(), default_metrics.end(), metric.name)
                        != default_metrics.end();
      if (asked.empty() ? !is_default : !asked.contains(metric.name))
        continue;
      if (can_tell(metric.needs, used))
        want(metric);
      else if (!asked.empty())
        complain("metrics", std::string{metric.name} + ": counted "
                              + std::string{told_by(metric.needs)} + "; here by " + names_of(used));
    }
    if (out_.metrics.empty() && complaints_.empty())
      complain("metrics", "nothing is counted by " + names_of(used) + " together; events are, "
                            + std::string{told_by(measure::events)} + ", and users "
                            + std::string{told_by(measure::users)});
  }

  void want(const series_metric& metric) {
    out_.metrics.push_back(&metric);
    out_.query.want(metric.needs);
    // A quantile lies between the shortest and the longest, and what is most is told first.
    for (auto kind : {measure::events, measure::details})
      if (can_tell(kind, out_.query.used()))
        out_.query.want(kind);
  }

  void read_comparison() {
    auto other = parameters_.range("compare");
    if (!other)
      return;
    if (!other->first || !other->last) {
      out_.compared = out_.range.previous(out_.zone);
      return;
    }
    out_.compared = series_range{*other->first, *other->last};
    auto range = out_.compared->in_zone(out_.zone);
    auto asked = out_.range.in_zone(out_.zone);
    if (auto wrong = out_.compared->what_is_wrong(out_.zone); !wrong.empty())
      complain("compare", wrong);
    else if (range.end_us - range.begin_us > 2 * (asked.end_us - asked.begin_us) + 25 * hour_us)
      complain("compare", "it may be twice as long as the range that it is compared with");
  }

  /// Before there is a name for each of them.
  void check_hours() {
    auto range = out_.range.in_zone(out_.zone);
    auto hours = (range.end_us - range.begin_us) / hour_us;
    if (out_.every == interval::hour && hours > static_cast<int64_t>(answer_list::most_rows))
      complain("interval", "the answer would have " + group_digits(static_cast<uint64_t>(hours))
                             + " rows; ask for a shorter range, or for days");
  }

  const question_parameters& parameters_;
  std::vector<parameter_complaint>& complaints_;
  series_question out_;
};

} // namespace

time_range series_range::in_zone(const std::string& zone) const {
  return {first.day ? day_in_zone(zone, *first.day).begin_us : first.time_us,
          last.day ? day_in_zone(zone, *last.day).end_us : last.time_us};
}

std::string series_range::what_is_wrong(const std::string& zone) const {
  constexpr auto backwards = "end must not be before start";
  if (first.day && last.day)
    return *last.day < *first.day ? backwards : "";
  auto range = in_zone(zone);
  if (range.end_us == range.begin_us)
    return "there is nothing between start and end: a time as end is not in the range";
  return range.end_us < range.begin_us ? backwards : "";
}

series_range series_range::previous(const std::string& zone) const {
  if (first.day && last.day)
    return {{.day = *first.day - (*last.day - *first.day) - 1}, {.day = *first.day - 1}};
  auto range = in_zone(zone);
  return {{.day = {}, .time_us = range.begin_us - (range.end_us - range.begin_us)},
          {.day = {}, .time_us = range.begin_us}};
}

series_question read_series_question(const question_parameters& parameters,
                                     std::vector<parameter_complaint>& complaints) {
  return series_reader{parameters, complaints}.run();
}

} // namespace phi::statistics
