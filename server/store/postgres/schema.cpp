#include "server/store/postgres/schema.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/platform/digest.hpp"
#include "server/statistics/slots.hpp"
#include "server/store/postgres/earlier_counts.hpp"
#include "server/store/postgres/lease.hpp"
#include "server/store/postgres/statements.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <set>

namespace phi::store {
namespace {

using namespace postgres_sql;

constexpr auto deadlock_detected = "40P01";

struct found_schema {
  int version = 0;
  int oldest_program = 0;
};

found_schema find_schema(postgres_connection& db) {
  auto there = db.run(schema_table_is_there);
  there.step();
  if (there.text(0) != "t")
    return {};
  auto rows = db.run(schema_version);
  rows.step();
  return {static_cast<int>(rows.integer(0)), static_cast<int>(rows.integer(1))};
}

void check(const found_schema& found) {
  if (found.oldest_program > current_postgres_schema())
    throw postgres_error{"the database was written by a newer version (schema "
                           + std::to_string(found.version) + ", this program knows "
                           + std::to_string(current_postgres_schema()) + "); install that version",
                         {}};
}

bool partitions_are_there(postgres_connection& db, int32_t last_day) {
  auto rows = db.run("SELECT to_regclass('" + partition_of(last_day) + "') IS NOT NULL");
  rows.step();
  return rows.text(0) == "t";
}

} // namespace

int current_postgres_schema() {
  return static_cast<int>(std::size(migrations));
}

std::string partition_of(int32_t day) {
  auto date = format_date(day);
  std::replace(date.begin(), date.end(), '-', '_');
  return "event_" + date;
}

std::vector<std::string> migration_plan(postgres_connection& db) {
  auto found = find_schema(db);
  check(found);
  std::vector<std::string> out;
  for (int next = found.version; next < current_postgres_schema(); ++next)
    out.push_back("schema " + std::to_string(next + 1) + ": " + migrations[next].purpose);
  if (found.version > last_with_rollups && rollups_are_to_be_taken_over(db))
    out.push_back("the counts of days whose rows are gone: the roll-ups become cubes");
  return out;
}

int make_partitions(postgres_connection& db, int32_t first_day, int32_t last_day) {
  std::set<std::string> there;
  for (auto rows = db.run(partitions); rows.step();)
    there.insert(rows.text(0));
  int made = 0;
  for (auto day = first_day; day <= last_day; ++day) {
    auto name = partition_of(day);
    if (there.contains(name))
      continue;
    constexpr int64_t day_us = statistics::slot_us * statistics::slots_per_day;
    auto from = std::to_string(day * day_us);
    auto to = std::to_string((day + 1) * day_us);
    auto taken = db.run("SELECT EXISTS (SELECT FROM event_other_day WHERE time_us >= " + from
                        + " AND time_us < " + to + ")");
    taken.step();
    if (taken.text(0) == "t")
      continue;
    db.run("CREATE TABLE " + name + " PARTITION OF event FOR VALUES FROM (" + from + ") TO (" + to
           + ")");
    ++made;
  }
  return made;
}

namespace {

/// Partitions are a convenience: events of a day without one go where those of all other days are.
/// Whoever connects does not wait behind somebody's long work for them.
void try_to_make_partitions(postgres_connection& db, int32_t today) {
  try {
    begin_limited(db, defaults::maintenance_limit, defaults::maintenance_lock);
    db.run(lock_schema);
    make_partitions(db, today - 1, today + days_ahead);
    db.commit();
  } catch (const postgres_error& e) {
    if (e.state().empty())
      throw;
    db.recover(e);
    log_warn("store", "cannot make partitions now", {{"cause", e.what()}});
  }
}

/// Brings an older schema up to date; the version that was found. It makes everybody wait, so it
/// looks at no rows, but for indexes.
found_schema migrate_in_transaction(postgres_connection& db, int32_t today) {
  begin_limited(db, defaults::maintenance_limit, defaults::migration_lock);
  db.run(lock_schema);
  db.run(create_schema_table);
  auto found = find_schema(db); // another instance may have been first
  check(found);
  for (int next = found.version; next < current_postgres_schema(); ++next) {
    // Several statements in one text need the simple protocol.
    db.run_script(migrations[next].sql);
    db.run(add_schema_version, {postgres_value::number(next + 1),
                                postgres_value::number(migrations[next].oldest_program)});
    if (next == last_with_rollups)
      prepare_rollups(db);
  }
  if (found.version == 0)
    db.run(note_creation);
  if (found.version < current_postgres_schema())
    make_partitions(db, today - 1, today + days_ahead);
  db.commit();
  return found;
}

std::string who_has_the_locks(postgres_connection& db) {
  auto row = db.run(holder_of_locks);
  if (!row.step())
    return "another session";
  auto name = row.text(1);
  return "process " + row.text(0) + " of PostgreSQL" + (name.empty() ? "" : " (" + name + ")")
         + ", in a transaction for " + row.text(2) + " s";
}

/// Whoever holds a lock may hold it for hours: we wait a moment, and again, as others who want it
/// wait behind us. In all as long as a call may take.
found_schema migrate_between_others(postgres_connection& db, int32_t today) {
  using clock = std::chrono::steady_clock;
  const auto limit = db.limit();
  const auto end = clock::now() + limit;
  for (bool told = false;; told = true)
    try {
      db.set_limit(std::max(limit, defaults::maintenance_limit));
      auto found = migrate_in_transaction(db, today);
      db.set_limit(limit);
      return found;
    } catch (const postgres_error& e) {
      db.set_limit(limit);
      if (e.state() != lock_not_available && e.state() != deadlock_detected)
        throw;
      db.recover(e);
      auto who = who_has_the_locks(db);
      if (clock::now() >= end)
        throw postgres_error{"the schema cannot be brought up to date: a lock is held by " + who,
                             e.state()};
      if (!told)
        log_warn("store", "waits for a lock to bring the schema up to date", {{"held_by", who}});
      db.pause(defaults::migration_pause);
    }
}

/// Errors that waiting does not mend: no rights, names that are taken, features that are not there.
bool is_lasting(const postgres_error& e) {
  return e.state().starts_with("42") || e.state().starts_with("0A")
         || e.state().starts_with("3F000");
}

} // namespace

void migrate(postgres_connection& db) {
  auto today =
    static_cast<int32_t>(statistics::day_of_slot(statistics::slot_of(database_now_us(db))));
  try {
    auto found = find_schema(db);
    check(found);
    if (found.version < current_postgres_schema()) {
      found = migrate_between_others(db, today);
      if (found.version < current_postgres_schema())
        log_info("store", found.version == 0 ? "creates the schema" : "migrates the schema",
                 {{"from_schema", found.version}, {"to_schema", current_postgres_schema()}});
    } else if (!partitions_are_there(db, today + 1)) {
      try_to_make_partitions(db, today);
    }
  } catch (const postgres_error& e) {
    db.recover(e);
    if (is_lasting(e))
      throw postgres_misfit{std::string{"the database does not let us have our tables: "} + e.what()
                            + "; the role needs CREATE on the schema, and nothing else may have"
                              " their names"};
    throw;
  }
}

void connect_and_migrate(postgres_connection& db, const postgres_access& access) {
  try {
    db.connect(access);
    if (auto agree = compare_clocks(database_now_us(db), wall_clock_us()); !agree)
      throw postgres_misfit{agree.why()};
    migrate(db);
  } catch (...) {
    db.close();
    throw;
  }
}

std::string postgres_id_of(postgres_connection& db) {
  auto ask = [&] {
    auto row = db.run(read_id);
    return row.step() ? row.text(0) + "-" + row.text(1) : std::string{};
  };
  auto id = ask();
  if (!id.empty())
    return id;
  db.run(make_id, {postgres_value::number(static_cast<int64_t>(random_bits() >> 1))});
  return ask();
}

} // namespace phi::store
