#include "server/store/postgres_schema.hpp"

#include "actors/log.hpp"
#include "config/time_text.hpp"
#include "server/store/postgres_statements.hpp"
#include "server/store/rollup.hpp"

#include <iterator>
#include <set>

namespace phi::store {
namespace {

using namespace postgres_sql;

struct found_schema {
  int version = 0;
  int oldest_program = 0;
};

found_schema find_schema(postgres& db) {
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

bool partitions_are_there(postgres& db, int32_t last_day) {
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
  std::erase(date, '-');
  return "event_" + date;
}

std::vector<std::string> migration_plan(postgres& db) {
  auto found = find_schema(db);
  check(found);
  std::vector<std::string> out;
  for (int next = found.version; next < current_postgres_schema(); ++next)
    out.push_back("schema " + std::to_string(next + 1) + ": " + migrations[next].what);
  return out;
}

int make_partitions(postgres& db, int32_t first_day, int32_t last_day) {
  std::set<std::string> there;
  for (auto rows = db.run(partitions); rows.step();)
    there.insert(rows.text(0));
  int made = 0;
  for (auto day = first_day; day <= last_day; ++day) {
    auto name = partition_of(day);
    if (there.contains(name))
      continue;
    constexpr int64_t day_us = slot_us * slots_per_day;
    auto from = std::to_string(day * day_us);
    auto to = std::to_string((day + 1) * day_us);
    auto taken = db.run("SELECT EXISTS (SELECT FROM event_other WHERE time_us >= " + from
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

void migrate(postgres& db, int64_t now_us) {
  auto today = static_cast<int32_t>(day_of_slot(slot_of(now_us)));
  auto found = find_schema(db);
  check(found);
  if (found.version >= current_postgres_schema() && partitions_are_there(db, today + 1))
    return;
  try {
    db.run("BEGIN");
    db.run(lock_schema);
    db.run(create_schema_table);
    found = find_schema(db); // another instance may have been first
    check(found);
    for (int next = found.version; next < current_postgres_schema(); ++next) {
      // Several statements in one text need the simple protocol.
      db.run_script(migrations[next].sql);
      db.run(add_schema_version, {postgres_value::number(next + 1),
                                  postgres_value::number(migrations[next].oldest_program)});
    }
    make_partitions(db, today - 1, today + days_ahead);
    db.run("COMMIT");
  } catch (...) {
    if (db.in_transaction())
      db.run("ROLLBACK");
    throw;
  }
  if (found.version < current_postgres_schema())
    log_info("store", found.version == 0 ? "creates the schema" : "migrates the schema",
             {{"from_schema", found.version}, {"to_schema", current_postgres_schema()}});
}

void connect_and_migrate(postgres& db, const postgres_access& with, int64_t now_us) {
  db.connect(with);
  try {
    migrate(db, now_us);
  } catch (...) {
    db.close();
    throw;
  }
}

} // namespace phi::store
