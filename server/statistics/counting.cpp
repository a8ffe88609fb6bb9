// Which buckets are counted at once.

#include "server/statistics/grouped_counts.hpp"
#include "server/statistics/joined_readers.hpp"

#include <algorithm>

namespace phi::statistics {
namespace {

/// So many cells are tried at first.
constexpr size_t first_cells = 2048;
/// A guess, of a question that does not say how many it wants to tell apart.
constexpr size_t usual_groups = 128;

size_t buckets_at_once(const grouped_query& query) {
  const auto groups = query.by.empty() ? 1 : query.keep ? query.keep->size() + 1 : usual_groups;
  return std::max<size_t>(1, first_cells / groups);
}

} // namespace

void count_each(tally_source& counts, const grouped_query& query,
                const std::function<void(size_t bucket, groups_of_bucket groups)>& take,
                const group_limits& limits) {
  const auto most_at_once = buckets_at_once(query);
  auto at_once = most_at_once;
  for (size_t from = 0; from < query.buckets.size();) {
    auto some = query;
    auto first = query.buckets.begin() + static_cast<ptrdiff_t>(from);
    auto left = static_cast<size_t>(query.buckets.end() - first);
    some.buckets.assign(first, first + static_cast<ptrdiff_t>(std::min(left, at_once)));
    group_builder builder{some, limits};
    if (!builder.range().empty())
      counts.read(builder);
    if (builder.is_full()) {
      at_once = some.buckets.size() / 2;
      continue;
    }
    if (builder.has_room_for_twice())
      at_once = std::min(2 * at_once, most_at_once);
    for (auto& groups : builder.take())
      take(from++, std::move(groups));
  }
}

grouped_counts count_groups(tally_source& counts, const grouped_query& query,
                            const group_limits& limits) {
  grouped_counts out;
  count_each(
    counts, query, [&](size_t, groups_of_bucket groups) { out.push_back(std::move(groups)); },
    limits);
  return out;
}

std::vector<grouped_counts> count_groups(tally_source& counts,
                                         const std::vector<grouped_query>& queries) {
  std::deque<group_builder> builders;
  for (const auto& query : queries)
    if (query.buckets.size() <= buckets_at_once(query))
      builders.emplace_back(query);
  joined_readers together;
  for (auto& builder : builders)
    together.join(builder);
  if (!together.range().empty())
    counts.read(together);
  std::vector<grouped_counts> out;
  auto counted = builders.begin();
  for (const auto& query : queries) {
    auto* joined = query.buckets.size() <= buckets_at_once(query) ? &*counted++ : nullptr;
    out.push_back(joined && !joined->is_full() ? joined->take() : count_groups(counts, query));
  }
  return out;
}

} // namespace phi::statistics
