#include "server/store/sqlite/free_pages.hpp"

#include <algorithm>

namespace phi::store {
namespace {

/// Kept of all pages, and at least: who gives back what the next hour needs moves pages in vain.
constexpr int64_t kept_share = 8;
constexpr int64_t least_kept = 256;

/// In a step: each that is moved takes a few pages of the log.
constexpr int64_t pages_at_once = 128;

constexpr int64_t incremental = 2; ///< of `auto_vacuum`

int64_t number(statement& ask) {
  reset_at_end reset{ask};
  return ask.step() ? ask.integer(0) : 0;
}

} // namespace

void free_pages::prepare(sqlite_connection& db) {
  statement pages{db, "PRAGMA page_count"};
  if (number(pages) == 0)
    db.run("PRAGMA auto_vacuum = INCREMENTAL");
}

free_pages::free_pages(sqlite_connection& db)
  : db_(db),
    pages_(db, "PRAGMA page_count"),
    free_(db, "PRAGMA freelist_count") {
  statement mode{db, "PRAGMA auto_vacuum"};
  may_go_ = number(mode) == incremental;
}

int64_t free_pages::too_many() {
  return number(free_) - std::max(least_kept, number(pages_) / kept_share);
}

bool free_pages::are_many() {
  return may_go_ && too_many() > 0;
}

void free_pages::give_back() {
  if (!are_many())
    return;
  try {
    db_.run("PRAGMA incremental_vacuum(" + std::to_string(std::min(pages_at_once, too_many()))
            + ")");
  } catch (const sqlite_error& e) {
    may_go_ = may_go_ && !is_corrupt(e); // it would come to the same lost page each time
    throw;
  }
}

} // namespace phi::store
