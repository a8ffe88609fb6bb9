#include "protocol/text/digits.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/statistics/answer_list.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/counted_range.hpp"
#include "server/statistics/series_question.hpp"

#include <algorithm>
#include <tuple>

namespace phi::statistics {
namespace {

using groups = std::map<group_key, group_counts>;

const group_key others{std::string{other_text}};

json shown(const moment& when) {
  return when.day ? format_date(*when.day) : format_rfc3339(when.time_us);
}

/// The answer about one range.
class series_answer {
public:
  series_answer(tally_source& counts, const series_question& asked,
                std::optional<int64_t> start_at_us)
    : counts_(counts),
      asked_(asked),
      start_at_us_(start_at_us) {}

  /// The keys to tell apart, those with the most events first: all is added up before it is
  /// decided who is among the first. Behind them stand all others, when there are any.
  std::vector<group_key> keys() {
    if (asked_.query.by.empty())
      return {{}};
    auto all = all_groups(asked_.range);
    bool has_others = all.erase(others) > 0 || all.size() > asked_.top;
    std::vector<const groups::value_type*> ranked;
    for (const auto& group : all)
      ranked.push_back(&group);
    std::sort(ranked.begin(), ranked.end(), [](const auto* a, const auto* b) {
      return std::tuple{b->second.n, b->second.users, a->first}
             < std::tuple{a->second.n, a->second.users, b->first};
    });
    std::vector<group_key> out;
    for (size_t i = 0; i < std::min(ranked.size(), asked_.top); ++i)
      out.push_back(ranked[i]->first);
    if (has_others || (asked_.compared && has_more(all_groups(*asked_.compared), out)))
      out.push_back(others);
    return out;
  }

  /// `rows`, `totals`, and `keys` where there are any: members of a JSON object.
  void add_to(json_envelope& answer, const series_range& range,
              const std::vector<group_key>& keys) {
    const auto buckets = buckets_of(range, keys);
    const auto whole = slots_of(range.in_zone(asked_.zone));
    // Users of several buckets or keys cannot be added up: they are counted anew.
    const auto counted = count_groups(counts_, {query_of(slots_of(buckets), kept(keys)),
                                                query_of({whole}, std::set<group_key>{}),
                                                query_of({whole}, kept(keys))});
    auto rows = list({"bucket"});
    add_rows(rows, {}, buckets, keys, counted[0]);
    answer.add("rows", rows.as_json());
    json total = json::object();
    const auto& totals = counted[1][0];
    const auto all = totals.empty() ? group_counts{} : totals.begin()->second;
    for (const auto* metric : asked_.metrics)
      total[std::string{metric->field}] = metric->value(all);
    answer.add("totals", total.dump());
    if (asked_.query.by.empty())
      return;
    auto of_keys = list({});
    for (const auto& key : keys)
      add_row(of_keys, {}, key, counted[2][0]);
    answer.add("keys", of_keys.as_json());
  }

  /// Only the rows of both ranges, told apart where there are two.
  answer_list all_rows(const std::vector<group_key>& keys) {
    auto out = asked_.compared ? list({"range", "bucket"}) : list({"bucket"});
    auto add = [&](const series_range& range, const std::vector<answer_list::value>& begin) {
      const auto buckets = buckets_of(range, keys);
      add_rows(out, begin, buckets, keys,
               count_groups(counts_, query_of(slots_of(buckets), kept(keys))));
    };
    if (!asked_.compared)
      add(asked_.range, {});
    else {
      add(asked_.range, {"asked"});
      add(*asked_.compared, {"compared"});
    }
    return out;
  }

private:
  slot_range slots_of(const time_range& range) const {
    slot_range out{slot_of(range.begin_us), slot_of(range.end_us)};
    if (start_at_us_)
      out.begin = std::max(out.begin, slot_of(*start_at_us_));
    return out;
  }

  /// With what they are ranked by.
  groups all_groups(const series_range& range) {
    auto query = asked_.query;
    query.buckets = {slots_of(range.in_zone(asked_.zone))};
    query.wanted = {};
    const bool has_events = can_tell(measure::events, query.used());
    query.want(has_events ? measure::events : measure::users);
    return count_groups(counts_, query)[0];
  }

  static bool has_more(const groups& all, const std::vector<group_key>& keys) {
    return std::any_of(all.begin(), all.end(), [&](const auto& group) {
      return std::find(keys.begin(), keys.end(), group.first) == keys.end();
    });
  }

  grouped_query query_of(std::vector<slot_range> buckets, std::set<group_key> keep) const {
    auto query = asked_.query;
    query.buckets = std::move(buckets);
    if (!query.by.empty())
      query.keep = std::move(keep);
    return query;
  }

  static std::set<group_key> kept(const std::vector<group_key>& keys) {
    std::set<group_key> out{keys.begin(), keys.end()};
    out.erase(others);
    return out;
  }

  answer_list list(std::vector<std::string> columns) const {
    if (!asked_.query.by.empty())
      columns.emplace_back("key");
    for (const auto* metric : asked_.metrics)
      columns.emplace_back(metric->field);
    return answer_list{std::move(columns)};
  }

  std::vector<time_bucket> buckets_of(const series_range& range,
                                      const std::vector<group_key>& keys) const {
    auto out = asked_.every == interval::day && range.first.day && range.last.day
                 ? days_in_zone(asked_.zone, *range.first.day, *range.last.day)
                 : buckets_in_zone(asked_.zone, asked_.every, range.in_zone(asked_.zone));
    if (out.size() * keys.size() > answer_list::most_rows)
      throw refused_question{"the answer would have " + group_digits(out.size() * keys.size())
                             + " rows, and may have up to " + group_digits(answer_list::most_rows)
                             + "; ask for a longer interval, a shorter range, or a smaller top"};
    return out;
  }

  std::vector<slot_range> slots_of(const std::vector<time_bucket>& buckets) const {
    std::vector<slot_range> out;
    for (const auto& bucket : buckets)
      out.push_back(slots_of(bucket.range));
    return out;
  }

  /// Each bucket with each key, whether there was something or not.
  void add_rows(answer_list& to, const std::vector<answer_list::value>& begin,
                const std::vector<time_bucket>& buckets, const std::vector<group_key>& keys,
                const grouped_counts& counted) const {
    for (size_t i = 0; i < buckets.size(); ++i)
      for (const auto& key : keys) {
        auto row = begin;
        row.emplace_back(buckets[i].label);
        add_row(to, std::move(row), key, counted[i]);
      }
  }

  void add_row(answer_list& to, std::vector<answer_list::value> row, const group_key& key,
               const groups& counted) const {
    if (!key.empty())
      row.push_back(text_or_null(key[0]));
    auto found = counted.find(key);
    for (const auto* metric : asked_.metrics)
      row.push_back(metric->value(found == counted.end() ? group_counts{} : found->second));
    to.add(std::move(row));
  }

  tally_source& counts_;
  const series_question& asked_;
  std::optional<int64_t> start_at_us_;
};

json head_of(const series_question& asked) {
  constexpr std::array intervals{"hour", "day", "week", "month"};
  json filters = json::object();
  for (size_t i = 0; i < attributes; ++i)
    if (!asked.query.only[i].empty())
      filters[std::string{attribute_names[i]}] = asked.query.only[i];
  return {{"timezone", asked.zone},
          {"start", shown(asked.range.first)},
          {"end", shown(asked.range.last)},
          {"interval", intervals[static_cast<size_t>(asked.every)]},
          {"by", asked.by_name},
          {"filters", std::move(filters)}};
}

} // namespace

std::string series(tally_source& counts, const question_parameters& parameters,
                   std::optional<int64_t> start_at_us) {
  std::vector<parameter_complaint> complaints;
  const auto asked = read_series_question(parameters, complaints);
  if (!complaints.empty()) // whoever has read the question has said so before
    throw refused_question{complaints[0].message};
  series_answer answer{counts, asked, start_at_us};
  const auto keys = answer.keys();
  if (parameters.text("format").value_or("json") != "json")
    return *rows_alone(answer.all_rows(keys), parameters);
  json_envelope out{head_of(asked)};
  answer.add_to(out, asked.range, keys);
  if (asked.compared) {
    json_envelope compared{
      {{"start", shown(asked.compared->first)}, {"end", shown(asked.compared->last)}}};
    answer.add_to(compared, *asked.compared, keys);
    out.add("compare", compared.take());
  }
  return out.take();
}

} // namespace phi::statistics
