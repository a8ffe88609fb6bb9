#include "server/store/postgres/lease.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"
#include "protocol/platform/process.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/store/postgres/statements.hpp"

#include <optional>
#include <random>

namespace phi::store {
namespace {

using namespace postgres_sql;
using value = postgres_value;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds check_interval = 250ms;

struct holder {
  run_of_process run;
  int64_t started_us = 0;
  int64_t lease_until_us = 0;
};

/// A standby that hangs keeps nobody from connecting: a lease need not outlive a crash.
bool take(postgres_connection& db, const postgres_settings& settings, milliseconds lock,
          int64_t from_run) {
  const auto& own = run_of_process::own();
  queue_begin(db, settings.commit_timeout, lock);
  db.queue("SET LOCAL synchronous_commit = off");
  db.queue(take_name, {value::text(settings.instance), value::text(PHI_VERSION),
                       value::number(defaults::lease.count()), value::number(own.number),
                       value::text(own.host), value::number(own.pid), value::text(own.where),
                       value::number(from_run)});
  db.queue("COMMIT");
  return db.run_queued().at(3).step();
}

std::optional<holder> holder_of(postgres_connection& db, const postgres_settings& settings,
                                milliseconds lock) {
  queue_begin(db, settings.commit_timeout, lock);
  db.queue(holder_of_name, {value::text(settings.instance)});
  db.queue("COMMIT");
  auto answers = db.run_queued();
  auto& rows = answers.at(2);
  if (!rows.step())
    return {};
  holder out;
  statistics::read_columns(rows, out.run.number, out.run.host, out.run.pid, out.run.where,
                           out.started_us, out.lease_until_us);
  return out;
}

[[noreturn]] void refuse(const std::string& name, const holder& other) {
  auto host = other.run.host.empty() ? "an earlier version" : "host " + other.run.host;
  throw postgres_misfit{"another instance that runs is named " + name + " (" + host + ", process "
                        + std::to_string(other.run.pid) + ", since "
                        + format_rfc3339(other.started_us)
                        + "): give each a name of its own, server.instance"};
}

} // namespace

const run_of_process& run_of_process::own() {
  static const run_of_process run = [] {
    std::random_device random;
    auto number = (int64_t{random() & 0x7fffffff} << 32 | random()) | 1; // 0 is nobody's
    return run_of_process{.number = number,
                          .host = host_name(),
                          .pid = process_id(),
                          .where = place_of_process_ids() + facts_of_process(process_id()).started};
  }();
  return run;
}

bool run_of_process::has_ended() const {
  auto place = place_of_process_ids();
  if (!where.starts_with(place))
    return false; // on another machine, or in another container
  if (process_is_gone(pid))
    return true;
  auto facts = facts_of_process(pid);
  return facts.state == 'Z' || (facts.state != 0 && facts.started != where.substr(place.size()));
}

void claim_name(postgres_connection& db, const postgres_settings& settings, milliseconds patience,
                milliseconds lock) {
  int64_t seen_until_us = 0;
  for (auto end = std::chrono::steady_clock::now() + patience;;) {
    if (take(db, settings, lock, run_of_process::own().number))
      return;
    auto found = holder_of(db, settings, lock);
    if (!found || found->run.number == run_of_process::own().number)
      continue; // struck off meanwhile; or the other of our two connections was first
    const auto& other = *found;
    bool ended = other.run.has_ended();
    if (ended && take(db, settings, lock, other.run.number))
      return;
    bool here = other.run.where.starts_with(place_of_process_ids());
    bool renewed = seen_until_us != 0 && other.lease_until_us != seen_until_us;
    if (!ended && (here || renewed || std::chrono::steady_clock::now() >= end))
      refuse(settings.instance, other);
    if (std::exchange(seen_until_us, other.lease_until_us) == 0)
      log_info("store", "waits: an earlier run of this instance may still be there",
               {{"host", other.run.host}, {"until", format_rfc3339(other.lease_until_us)}});
    db.pause(check_interval);
  }
}

int64_t database_now_us(postgres_connection& db) {
  auto rows = db.run(now_us);
  rows.step();
  return rows.integer(0);
}

outcome compare_clocks(int64_t theirs_us, int64_t ours_us) {
  using std::chrono::microseconds;
  auto apart = microseconds{ours_us - theirs_us};
  if (std::chrono::abs(apart) <= microseconds{defaults::clock_tolerance})
    return {};
  return outcome::failure("the clock of this machine says " + format_rfc3339(ours_us)
                          + " and that of the database " + format_rfc3339(theirs_us)
                          + ": set the one that is wrong, or events get wrong times");
}

} // namespace phi::store
