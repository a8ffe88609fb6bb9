#include "server/store/sqlite/lost_identities.hpp"

#include "server/statistics/slots.hpp"
#include "server/store/sqlite/statements.hpp"

#include <algorithm>

namespace phi::store {
namespace {

/// More gaps than this are one: each event is held against them.
constexpr size_t most_ranges = 64;

digest digest_of(std::string_view bytes) {
  digest out{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), out.size()), out.begin());
  return out;
}

digest_range any_digest() {
  digest_range out;
  out.last.fill(0xff);
  return out;
}

} // namespace

lost_identities::lost_identities(sqlite_connection& db) {
  statement exists{db, sql::has_lost_identities};
  if (!exists.step() || exists.integer(0) == 0)
    return;
  statement all{db, sql::lost_identities};
  for (; all.step(); size_ += all.integer(3))
    ranges_.push_back({{digest_of(all.blob(0)), digest_of(all.blob(1))}, all.integer(2)});
}

void lost_identities::add(sqlite_connection& db, const identity_sums& lost,
                          std::vector<digest_range> ranges, int64_t before_day) {
  forget_deleted_identities(db, lost);
  if (ranges.empty() || ranges.size() > most_ranges)
    ranges = {any_digest()};
  db.run(sql::create_lost_identities);
  auto number = lost.number;
  for (const auto& [first, last] : ranges) {
    statement put{db, sql::add_lost_identities};
    put.bind_blob(1, first.data(), first.size()).bind_blob(2, last.data(), last.size());
    put.bind(3, before_day * statistics::slots_per_day * statistics::slot_us);
    put.bind(4, std::exchange(number, 0)).execute(); // those of all ranges together
  }
}

bool lost_identities::may_contain(const event& e) const {
  if (e.no_id)
    return false;
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const range& lost) {
    return (e.no_time || e.time_us < lost.before_us) && lost.digests.first <= e.identity
           && e.identity <= lost.digests.last;
  });
}

} // namespace phi::store
