#include "server/store/sqlite/row_retention.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"
#include "protocol/fault_point.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/statistics/slots.hpp"
#include "server/store/sqlite/statements.hpp"

#include <algorithm>
#include <cstring>

namespace phi::store {
namespace {

constexpr int64_t day_us = 86'400'000'000;

/// Rows that a step looks at: a few milliseconds.
constexpr int64_t rows_at_once = 4000;

} // namespace

void identity_sums::add(const digest& identity) {
  uint64_t half = 0;
  std::memcpy(&half, identity.data() + sizeof half, sizeof half);
  ++number;
  auto next = static_cast<uint64_t>(sum) + (half >> 1);
  sum = static_cast<int64_t>(next & static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
}

identity_sums identity_sums::less(const identity_sums& some) const {
  auto rest = static_cast<uint64_t>(sum) - static_cast<uint64_t>(some.sum);
  constexpr auto bits = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  return {number - some.number, static_cast<int64_t>(rest & bits)};
}

deleted_rows read_deleted_rows(sqlite_connection& db) {
  statement ask{db, sql::kept_rows};
  deleted_rows out;
  if (!ask.step() || ask.null(0))
    return out;
  out.from_day = ask.integer(0);
  out.identities = {ask.integer(5), ask.integer(6)};
  return out;
}

void forget_deleted_identities(sqlite_connection& db, const identity_sums& lost) {
  statement subtract{db, sql::subtract_deleted_identities};
  subtract.bind(1, lost.number).bind(2, lost.sum).execute();
}

row_retention::row_retention(sqlite_connection& db) : db_(db) {
  read_again();
}

void row_retention::read_again() {
  now_ = {};
  pass_day_.reset();
  statement ask{db_, sql::kept_rows};
  if (ask.step() && !ask.null(0))
    now_ = {.kept = {.from_day = ask.integer(0),
                     .keep_days = ask.integer(1),
                     .moved_at_us = ask.integer(2)},
            .swept_day = ask.integer(3),
            .next_row = ask.integer(4),
            .deleted = {ask.integer(5), ask.integer(6)}};
  next_ = now_;
}

/// Those of cubes, and of the few rows that none holds.
void row_retention::note_days() {
  if (now_.kept.from_day || !days_.empty())
    return;
  statement counted{db_, sql::days_of_cubes};
  while (counted.step())
    days_.insert(counted.integer(0));
  statement tail{db_, sql::times_behind_mark};
  while (tail.step())
    days_.insert(statistics::day_of_slot(statistics::slot_of(tail.integer(0))));
  was_empty_ = days_.empty();
}

void row_retention::begin(int64_t now_us, int64_t keep_days) {
  if (!was_empty_ || next_.kept.from_day)
    return;
  next_.kept = next_kept_rows(now_.kept, now_us, keep_days, defaults::retention_pause);
  write();
}

bool row_retention::is_due(int64_t now_us, int64_t keep_days) const {
  if (!now_.kept.from_day) {
    statement any{db_, sql::any_row};
    return any.step();
  }
  auto next = next_kept_rows(now_.kept, now_us, keep_days, defaults::retention_pause);
  return next != now_.kept || now_.swept_day < now_.kept.from_day;
}

kept_rows row_retention::next_kept(int64_t now_us, int64_t keep_days) {
  if (now_.kept.from_day)
    return next_kept_rows(now_.kept, now_us, keep_days, defaults::retention_pause);
  return first_kept_rows(days_, now_us, keep_days).value_or(now_.kept);
}

void row_retention::step(int64_t now_us, int64_t keep_days, int64_t up_to) {
  if (now_.held_up && up_to == held_at_)
    return;
  held_at_ = up_to;
  next_.kept = next_kept(now_us, keep_days);
  next_.held_up = false;
  if (!next_.kept.from_day)
    return;
  if (next_.deleted.number == 0) // the clock by which it was set may have run ahead
    next_.kept.from_day = std::min(*next_.kept.from_day, now_us / day_us - keep_days);
  if (next_.swept_day < *next_.kept.from_day)
    sweep_some(up_to);
  write();
}

/// Some of those on a lost page are passed by: what can be deleted is, and they stay.
void row_retention::sweep_some(int64_t up_to) {
  const auto from_day = *next_.kept.from_day;
  if (next_.next_row == lost_from_) {
    log_error("store", "cannot delete rows that are too old: they are on a lost page",
              {{"from_row", lost_from_}, {"before", lost_to_}});
    next_.next_row = lost_to_;
  }
  if (next_.next_row == 0) // the first day moves on in the middle of a pass
    pass_day_ = from_day;
  auto end = next_.next_row + rows_at_once - 1;
  try {
    statement first{db_, sql::first_row_from};
    first.bind(1, next_.next_row);
    auto begin = first.step() && !first.null(0) ? first.integer(0) : up_to + 1;
    end = std::min(begin + rows_at_once - 1, up_to);
    if (begin > up_to) {
      statement later{db_, sql::row_before};
      later.bind(1, up_to).bind(2, from_day * day_us);
      next_.held_up = later.step();
      next_.swept_day = next_.held_up ? next_.swept_day : pass_day_.value_or(next_.swept_day);
      next_.next_row = next_.held_up ? next_.next_row : 0;
    } else {
      delete_rows(begin, end, from_day * day_us);
      next_.next_row = end + 1;
    }
  } catch (const sqlite_error& e) {
    lost_from_ = is_corrupt(e) ? next_.next_row : lost_from_;
    lost_to_ = is_corrupt(e) ? end + 1 : lost_to_;
    throw;
  }
}

void row_retention::delete_rows(int64_t first, int64_t last, int64_t before_us) {
  auto number = next_.deleted.number;
  {
    statement old{db_, sql::identities_before};
    old.bind(1, first).bind(2, last).bind(3, before_us);
    while (old.step()) {
      digest identity{};
      auto bytes = old.blob(0);
      std::copy_n(bytes.begin(), std::min(bytes.size(), identity.size()), identity.begin());
      next_.deleted.add(identity);
    }
  }
  if (next_.deleted.number == number)
    return;
  fault_point("store.delete_rows");
  statement remove{db_, sql::delete_rows_before};
  remove.bind(1, first).bind(2, last).bind(3, before_us).execute();
}

void row_retention::write() {
  statement put{db_, sql::set_kept_rows};
  put.bind(1, *next_.kept.from_day).bind(2, *next_.kept.keep_days);
  put.bind(3, next_.kept.moved_at_us).bind(4, next_.swept_day).bind(5, next_.next_row);
  put.bind(6, next_.deleted.number).bind(7, next_.deleted.sum).execute();
  if (next_.swept_day != now_.swept_day && next_.deleted.number > 0)
    log_info("store", "has deleted the rows of days that are over",
             {{"before", format_date(static_cast<int32_t>(*next_.kept.from_day))},
              {"rows_so_far", next_.deleted.number}});
}

} // namespace phi::store
