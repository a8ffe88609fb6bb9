// The doctor, without a service: what it makes of what was seen.

#include "server/admin/doctor.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/temp_dir.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

using namespace phi;
using namespace std::chrono_literals;
using phi::testing::temp_dir;

namespace {

/// A service on the embedded database in a directory of its own, all of it well.
class patient {
public:
  patient() {
    std::filesystem::permissions(directory_.path(), std::filesystem::perms::owner_all);
    settings.resolved.state_dir = directory_.path();
    settings.resolved.sqlite_path = directory_.path("phi.db");
    settings.server.max_connections = 1;
    std::ofstream{settings.resolved.sqlite_path} << "events";
    seen.next.loaded.values = settings;
    seen.status = service_status{};
  }

  std::string path() const { return directory_.path(); }

  std::vector<finding> examine() {
    seen.settings = std::make_shared<const config>(settings);
    return examine_service(seen);
  }

  /// The finding with this code.
  std::optional<finding> find(finding_code code) {
    auto all = examine();
    auto found = std::find_if(all.begin(), all.end(),
                              [&](const finding& finding) { return finding.code == code; });
    return found == all.end() ? std::nullopt : std::optional{*found};
  }

  config settings;
  observed_service seen;

private:
  temp_dir directory_;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

actor_status spool_says(uint64_t events, uint64_t set_aside) {
  return {.gauges = {{gauge_name::events, events}, {gauge_name::set_aside, set_aside}}};
}

} // namespace

TEST_CASE("doctor: a service that is well has no code, and nothing to do") {
  patient patient;
  std::vector<std::string> subjects;
  for (const auto& found : patient.examine()) {
    CAPTURE(found.text);
    subjects.push_back(found.subject);
    if (found.code == finding_code::disk_low)
      continue; // of the machine that tests
    CHECK(found.verdict == finding_verdict::ok);
    CHECK(found.code == finding_code::none);
    CHECK_FALSE(found.text.empty());
    CHECK(found.remedy == "");
  }
  CHECK(subjects
        == std::vector<std::string>{"permissions", "disk", "database", "clock", "file limit",
                                    "user hashes", "health", "configuration", "budgets"});
}

TEST_CASE("doctor: a state directory that others may read, and one that is not there") {
  patient patient;
  std::filesystem::permissions(patient.path(), std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  auto open = patient.find(finding_code::state_directory_public);
  REQUIRE(open);
  CHECK(open->verdict == finding_verdict::warning);
  CHECK(open->remedy == "chmod 0700 " + patient.path());
  patient.settings.resolved.state_dir += "/not-there";
  auto gone = patient.find(finding_code::state_directory_unwritable);
  REQUIRE(gone);
  CHECK(gone->verdict == finding_verdict::bad);
  CHECK(patient.find(finding_code::disk_unreadable));
}

TEST_CASE("doctor: the database: a file that is gone, PostgreSQL that is away") {
  patient patient;
  std::filesystem::remove(patient.settings.resolved.sqlite_path);
  auto gone = patient.find(finding_code::database_unreadable);
  REQUIRE(gone);
  CHECK(gone->verdict == finding_verdict::bad);
  CHECK(has(gone->text, "phi.db"));
  patient.settings.resolved.storage = storage_kind::postgres;
  CHECK_FALSE(patient.find(finding_code::database_unreadable));
  CHECK_FALSE(patient.find(finding_code::database_away));
  patient.seen.health.causes.push_back({.who = actor_name::membership,
                                        .why = "no words that anybody decides by",
                                        .code = ailment::database_away});
  auto away = patient.find(finding_code::database_away);
  REQUIRE(away);
  CHECK(away->verdict == finding_verdict::bad);
  auto ill = patient.find(finding_code::degraded);
  REQUIRE(ill);
  CHECK(has(ill->text, "no words that anybody decides by"));
  // In a stop the health says nothing of it, and whoever leaves last still does.
  patient.seen.health.causes.clear();
  actor_status says{.code = ailment::database_away};
  patient.seen.status->children = {{.actor = actor_name::membership, .says = says}};
  CHECK_FALSE(patient.find(finding_code::database_away)); // it would be that, if anything was
  patient.seen.status->children.front().says->degraded = "gone";
  CHECK(patient.find(finding_code::database_away));
}

TEST_CASE("doctor: hashes with a salt of one instance, where several share the database") {
  patient patient;
  patient.settings.resolved.storage = storage_kind::postgres;
  auto own = patient.find(finding_code::salt_not_shared);
  REQUIRE(own);
  CHECK(own->verdict == finding_verdict::warning);
  CHECK(has(own->remedy, "stats.user_hash_salt"));
  patient.settings.stats.user_hash_salt.value = "the same for all";
  CHECK_FALSE(patient.find(finding_code::salt_not_shared));
}

TEST_CASE("doctor: values that are not told apart") {
  patient patient;
  auto says = spool_says(0, 0);
  says.gauges = {{gauge_name::counted_as_other, 0}};
  patient.seen.status->children = {{.actor = actor_name::stats, .says = says}};
  CHECK_FALSE(patient.find(finding_code::values_beyond_cap));
  patient.seen.status->children[0].says->gauges = {{gauge_name::counted_as_other, 1234}};
  auto found = patient.find(finding_code::values_beyond_cap);
  REQUIRE(found);
  CHECK(found->verdict == finding_verdict::warning);
  CHECK(has(found->text, "1 234 events"));
}

TEST_CASE("doctor: identities of deleted rows that are lost") {
  patient patient;
  auto says = spool_says(0, 0);
  says.gauges = {{gauge_name::identities_lost, 0}};
  patient.seen.status->children = {{.actor = actor_name::stats, .says = says}};
  CHECK_FALSE(patient.find(finding_code::identities_lost));
  patient.seen.status->children[0].says->gauges = {{gauge_name::identities_lost, 1024}};
  auto found = patient.find(finding_code::identities_lost);
  REQUIRE(found);
  CHECK(found->verdict == finding_verdict::warning);
  CHECK(has(found->text, "the ids of 1 024 events"));
}

TEST_CASE("doctor: deleted lines that a long transaction keeps in PostgreSQL") {
  patient patient;
  auto says = spool_says(0, 0);
  says.gauges = {{gauge_name::uncounted_bytes, uint64_t{64} << 20}};
  patient.seen.status->children = {{.actor = actor_name::maintenance, .says = says}};
  CHECK_FALSE(patient.find(finding_code::database_bloated));
  patient.seen.status->children[0].says->gauges = {
    {gauge_name::uncounted_bytes, (uint64_t{65} << 20) + 1}};
  auto found = patient.find(finding_code::database_bloated);
  REQUIRE(found);
  CHECK(found->verdict == finding_verdict::warning);
  CHECK(has(found->text, "uncounted takes 65 MiB"));
  CHECK(has(found->remedy, "backend_xmin"));
}

TEST_CASE("doctor: what waits in the spool, and what was set aside") {
  patient patient;
  patient.seen.status->children = {{.actor = actor_name::spool, .says = spool_says(0, 0)}};
  CHECK(patient.examine().back().subject == "spool");
  CHECK(patient.examine().back().verdict == finding_verdict::ok);
  patient.seen.status->children[0].says = spool_says(1200, 0);
  auto waiting = patient.find(finding_code::events_spooled);
  REQUIRE(waiting);
  CHECK(waiting->verdict == finding_verdict::warning);
  CHECK(has(waiting->text, "1 200 events wait for the database"));
  patient.seen.status->children[0].says = spool_says(0, 2);
  auto aside = patient.find(finding_code::batches_set_aside);
  REQUIRE(aside);
  CHECK(aside->remedy == "phictl spool show says why");
}

TEST_CASE("doctor: the next settings: invalid, or of what is not on this machine") {
  patient patient;
  patient.seen.next.loaded.values.admin.group = "no-such-group";
  auto would_fail = patient.find(finding_code::start_would_fail);
  REQUIRE(would_fail);
  CHECK(would_fail->verdict == finding_verdict::bad);
  CHECK(has(would_fail->text, "no-such-group"));
  patient.seen.next.accepted = outcome::failure("config.toml:2: unknown key");
  auto invalid = patient.find(finding_code::settings_invalid);
  REQUIRE(invalid);
  CHECK(has(invalid->text, "config.toml:2: unknown key"));
}

TEST_CASE("doctor: the unit: time-outs that are over before ours, a socket that decides") {
  patient patient;
  patient.seen.unit = systemd::unit_limits{.unit = "phi-backend.service",
                                           .start = duration{45s},
                                           .stop = duration{45s},
                                           .watchdog = duration{90s}};
  CHECK_FALSE(patient.find(finding_code::budgets_unfit));
  patient.seen.unit->stop = duration{5s};
  auto unfit = patient.find(finding_code::budgets_unfit);
  REQUIRE(unfit);
  CHECK(unfit->verdict == finding_verdict::warning);
  CHECK(has(unfit->remedy, "TimeoutStopSec="));
  patient.seen.unit->socket = "phi-backend.socket";
  patient.seen.origins = {{"server.port", "config.toml:3"}};
  auto overruled = patient.find(finding_code::address_overruled);
  REQUIRE(overruled);
  CHECK(has(overruled->text, "phi-backend.socket"));
}

TEST_CASE("doctor: more connections than there can be open files; a supervisor that is silent") {
  patient patient;
  patient.settings.server.max_connections = int64_t{1} << 40;
  auto few = patient.find(finding_code::open_files_few);
  REQUIRE(few);
  CHECK(few->verdict == finding_verdict::bad);
  patient.seen.status.reset();
  auto silent = patient.find(finding_code::actors_silent);
  REQUIRE(silent);
  CHECK(silent->verdict == finding_verdict::bad);
}
