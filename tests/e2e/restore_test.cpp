// phictl backup and restore: on full disks, killed at every step, over what a crash left, by root
// in somebody's directory.

#include "tests/support/doctest.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/stored.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace phi::testing;
namespace fs = std::filesystem;

namespace {

const settings quiet{{"APP_STATS_TRACK_REQUESTS", "false"}};
constexpr int in_backup = 3;
constexpr int after_it = 2; ///< events that the backup does not have

void send_events(const temp_dir& dir, const std::string& id, int count) {
  for (int i = 0; i < count; ++i)
    CHECK(ctl(dir, {"send", "--feature", "f", "--id", id + std::to_string(i)}).code == 0);
}

int64_t events_in(const std::string& file) {
  return ask_database(file, "SELECT count(*) FROM event");
}

/// A state directory as a kill -9 left it, the last events in the write-ahead log only, and a
/// backup from before them.
struct crashed_service {
  temp_dir dir;
  std::string backup = dir.path("backup.db");

  explicit crashed_service(settings env = {}) {
    env.insert(quiet.begin(), quiet.end());
    service_process service{dir.path(), env};
    send_events(dir, "a", in_backup);
    CHECK(ctl(dir, {"backup", backup}).code == 0);
    send_events(dir, "b", after_it);
    service.kill();
  }
};

program_result restore(const std::string& backup, const std::string& directory,
                       const settings& env = {}) {
  return run_program({phictl(), "restore", backup, "--state-dir", directory}, env);
}

int files_with(const std::string& directory, const std::string& part) {
  int out = 0;
  for (const auto& one : fs::directory_iterator{directory})
    out += has(one.path().filename().string(), part);
  return out;
}

bool sound(const std::string& file) {
  return run_program({binary(), "--check-database", file}).code == 0;
}

} // namespace

TEST_CASE("restore over what a crash left: its log goes aside with it, nothing of it is applied") {
  crashed_service left;
  auto database = left.dir.path("phi.db");
  REQUIRE(fs::file_size(database + "-wal") > 0);
  // The directory is named as one does who stands in it: the answer holds everywhere.
  auto restored = shell("cd " + left.dir.path() + " && " + phictl() + " restore " + left.backup
                        + " --state-dir . --database ./phi.db");
  INFO(restored.err);
  CHECK(restored.code == 0);
  CHECK(has(restored.out, "What was there is set aside; to have it back, stop the service and:"
                          " phictl restore "
                            + database + ".before-restore\n"));
  CHECK_FALSE(fs::exists(database + "-wal"));
  CHECK(sound(database));
  CHECK(events_in(database) == in_backup);
  CHECK(fs::file_size(database + ".before-restore-wal") > 0);
  {
    service_process again{left.dir.path(), quiet};
    CHECK(again.stop().code == 0);
  }
  CHECK(events_in(database) == in_backup);
  // And back: what was set aside is whole only with its log, and becomes one file with it.
  auto back = restore(database + ".before-restore", left.dir.path());
  CHECK(has(back.out, std::to_string(in_backup + after_it) + " events"));
  CHECK(events_in(database) == in_backup + after_it);
  CHECK_FALSE(fs::exists(database + "-wal"));
  CHECK(events_in(database + ".before-restore-2") == in_backup);
}

TEST_CASE("a copy that was made with cp is another database once it is restored") {
  temp_dir dir;
  auto id_in = [](const std::string& file) {
    auto ids = in_file(file)("SELECT value FROM about WHERE name = 'database_id'");
    return ids.empty() ? std::string{} : ids.front();
  };
  {
    service_process service{dir.path(), quiet};
    send_events(dir, "a", 1);
    CHECK(service.stop().code == 0);
  }
  auto database = dir.path("phi.db");
  auto copy = dir.path("copy.db");
  fs::copy_file(database, copy);
  auto before = id_in(copy);
  CHECK(before.size() == 32);
  CHECK(restore(copy, dir.path()).code == 0);
  CHECK(id_in(database) == "");
  CHECK(id_in(copy) == before); // a copy is read only
  {
    service_process again{dir.path(), quiet};
    CHECK(again.stop().code == 0);
  }
  CHECK(id_in(database).size() == 32);
  CHECK(id_in(database) != before);
  CHECK(events_in(database) == 1);
}

TEST_CASE("restore killed at every step: the old events or the new ones, and never none"
          * doctest::skip(!has_faults())) {
  crashed_service left;
  struct step {
    const char* fault;
    bool restored; ///< whether it is promised by then
  };
  for (auto [fault, promised] :
       {step{"restore.copying", false}, step{"restore.copied", false},
        step{"restore.checked", false}, step{"restore.promised", true}, step{"restore.moved", true},
        step{"restore.moved=kill@2", true}, step{"restore.moved=kill@3", true},
        step{"restore.placed", true}, step{"restore.synced", true}})
    for (bool by_service : {true, false}) {
      CAPTURE(fault);
      CAPTURE(by_service);
      temp_dir dir;
      shell("cp -a " + left.dir.path() + "/* " + dir.path());
      auto database = dir.path("phi.db");
      // The place that the copied directory remembers is that of the first one.
      std::ofstream{dir.path("database.path")} << database << "\n";
      auto wanted = std::string{fault};
      wanted += has(wanted, "=") ? "" : "=kill";
      CHECK(restore(left.backup, dir.path(), {{"PHI_FAULTS", wanted}}).code == -1);
      if (by_service) {
        service_process next{dir.path(), quiet};
        CHECK(next.logged("finishes a restore that was interrupted") == promised);
        CHECK(next.stop().code == 0);
        CHECK(events_in(database) == (promised ? in_backup : in_backup + after_it));
      } else {
        CHECK(restore(left.backup, dir.path()).code == 0);
        CHECK(events_in(database) == in_backup);
      }
      CHECK(sound(database));
      if (promised || !by_service)
        CHECK(events_in(database + ".before-restore") == in_backup + after_it);
      CHECK(files_with(dir.path(), "restor") == files_with(dir.path(), "before-restore"));
    }
}

TEST_CASE("the service finishes a restore that was promised, and is killed in it as well"
          * doctest::skip(!has_faults())) {
  crashed_service left;
  CHECK(restore(left.backup, left.dir.path(), {{"PHI_FAULTS", "restore.promised=kill"}}).code
        == -1);
  for (auto fault : {"restore.moved=kill", "restore.moved=kill", "restore.placed=kill"}) {
    auto env = quiet;
    env["PHI_FAULTS"] = fault;
    service_process killed{left.dir.path(), env, false};
    CHECK(killed.wait().signal == SIGKILL);
  }
  service_process next{left.dir.path(), quiet};
  CHECK(next.stop().code == 0);
  CHECK(events_in(next.database()) == in_backup);
  CHECK(events_in(next.database() + ".before-restore") == in_backup + after_it);
}

TEST_CASE("no empty database begins where the events of the last one lie") {
  temp_dir dir;
  {
    service_process service{dir.path(), quiet};
    send_events(dir, "a", 1);
    CHECK(service.stop().code == 0);
  }
  auto database = dir.path("phi.db");
  fs::rename(database, database + ".before-restore");
  {
    service_process refused{dir.path(), quiet, false};
    CHECK(refused.wait().code == 1);
    CHECK(refused.logged("phictl restore " + database + ".before-restore"));
    CHECK_FALSE(fs::exists(database));
  }
  fs::rename(database + ".before-restore", dir.path("elsewhere.db"));
  {
    std::ofstream{database + "-wal"} << "events";
    service_process refused{dir.path(), quiet, false};
    CHECK(refused.wait().code == 1);
    CHECK(refused.logged("is missing, but its log " + database + "-wal is there"));
    fs::remove(database + "-wal");
  }
  service_process begins{dir.path(), quiet}; // nothing is left here: it may, and says so
  CHECK(begins.logged("begins an empty database: the one of the last run is gone"));
}

TEST_CASE("restore and last-exit mean the service whose socket or directory is named, no other") {
  crashed_service left;
  temp_dir other; // nobody has ever started here
  auto database = left.dir.path("phi.db");
  auto nowhere = ctl(other, {"restore", left.backup});
  CHECK(nowhere.code == 1);
  CHECK(has(nowhere.err, "--state-dir"));
  CHECK(ctl(other, {"last-exit"}).code == 1);
  auto last = ctl(left.dir, {"--json", "last-exit"});
  CHECK(last.code == 1);
  CHECK(has(last.out, "\"crashed\": true"));
  {
    service_process service{left.dir.path(), quiet};
    auto running = ctl(left.dir, {"restore", left.backup});
    CHECK(running.code == 1);
    CHECK(has(running.err, "the service runs in"));
    CHECK(service.stop().code == 0);
  }
  CHECK(events_in(database) == in_backup + after_it);
  CHECK(ctl(left.dir, {"restore", left.backup}).code == 0);
  CHECK(events_in(database) == in_backup);
  CHECK(run_program({phictl(), "restore", database + ".before-restore"},
                    {{"APP_SERVER_STATE_DIR", left.dir.path()}})
          .code
        == 0);
  CHECK(events_in(database) == in_backup + after_it);
}

TEST_CASE("what is no backup of ours, or a newer one, is refused and nothing changes") {
  temp_dir dir;
  {
    service_process service{dir.path(), quiet};
    send_events(dir, "a", 2);
    CHECK(ctl(dir, {"backup", dir.path("copy.db")}).code == 0);
    CHECK(service.stop().code == 0);
  }
  auto refused = [&](const std::string& file, const std::string& why) {
    auto result = restore(dir.path(file), dir.path());
    CHECK(result.code == 1);
    CHECK_MESSAGE(has(result.err, why), result.err);
    CHECK(events_in(dir.path("phi.db")) == 2);
    CHECK(files_with(dir.path(), "restor") == 0);
  };
  shell("sqlite3 " + dir.path("foreign.db") + " 'CREATE TABLE event(x)'");
  refused("foreign.db", "it is not a database of phi-backend");
  shell("cp " + dir.path("copy.db") + " " + dir.path("newer.db") + "; sqlite3 "
        + dir.path("newer.db") + " 'PRAGMA user_version = 99'");
  refused("newer.db", "newer version (schema 99");
  std::ofstream{dir.path("empty.db")};
  refused("empty.db", "it is not a database of phi-backend");
  shell("cp " + dir.path("copy.db") + " " + dir.path("cut.db") + "; truncate -s 8192 "
        + dir.path("cut.db"));
  refused("cut.db", "nothing was changed");
  CHECK(::mkfifo(dir.path("pipe").c_str(), 0600) == 0);
  refused("pipe", "is not a file");
  CHECK(restore(dir.path("copy.db"), dir.path()).code == 0);
}

TEST_CASE("restore knows where the service has its database") {
  temp_dir dir;
  auto database = dir.path("elsewhere/events.db");
  fs::create_directory(dir.path("elsewhere"));
  auto env = quiet;
  env["APP_STATS_SQLITE_PATH"] = database;
  {
    service_process service{dir.path(), env};
    send_events(dir, "a", 1);
    CHECK(ctl(dir, {"backup", dir.path("copy.db")}).code == 0);
    send_events(dir, "b", 1);
    CHECK(service.stop().code == 0);
  }
  auto restored = restore(dir.path("copy.db"), dir.path());
  CHECK(restored.code == 0);
  CHECK(has(restored.out, database + " is "));
  CHECK(events_in(database) == 1);
  CHECK_FALSE(fs::exists(dir.path("phi.db")));
  // Where it never ran, the configuration says so.
  temp_dir fresh;
  std::ofstream{fresh.path("config.toml")}
    << "[stats]\nsqlite_path = \"" + fresh.path("mine.db") + "\"\n";
  CHECK(run_program({phictl(), "restore", dir.path("copy.db"), "--state-dir", fresh.path(),
                     "--config", fresh.path("config.toml")})
          .code
        == 0);
  CHECK(events_in(fresh.path("mine.db")) == 1);
}

TEST_CASE("root restores as the owner: no link is followed, nothing stays behind that is root's"
          * doctest::skip(::geteuid() != 0)) {
  constexpr uid_t nobody = 65534;
  crashed_service left;
  temp_dir dir;
  auto state = dir.path("state");
  fs::create_directory(state);
  CHECK(::chmod(dir.path().c_str(), 0755) == 0);
  CHECK(::chown(state.c_str(), nobody, nobody) == 0);
  auto victim = dir.path("victim");
  std::ofstream{victim} << "precious";
  CHECK(::chmod(victim.c_str(), 0600) == 0);
  for (auto name : {"phi.db.restoring", "phi.db", "phi.lock", "restore.journal.new"}) {
    CAPTURE(name);
    auto trap = state + "/" + name;
    CHECK(::symlink(victim.c_str(), trap.c_str()) == 0);
    auto done = restore(left.backup, state); // it works or it is refused
    CHECK(read_file(victim) == "precious");
    struct stat about {};
    CHECK(::stat(victim.c_str(), &about) == 0);
    CHECK(about.st_uid == 0);
    shell("rm -f " + state + "/*");
  }
  auto done = restore(left.backup, state);
  CHECK_MESSAGE(done.code == 0, done.err);
  for (const auto& one : fs::directory_iterator{state}) {
    CAPTURE(one.path());
    struct stat about {};
    CHECK(::lstat(one.path().c_str(), &about) == 0);
    CHECK(about.st_uid == nobody);
    CHECK((about.st_mode & 0777) == 0600);
  }
  // What the owner names is touched with the owner's rights only.
  std::ofstream{state + "/database.path"} << victim << "\n";
  CHECK(restore(left.backup, state).code == 1);
  CHECK(read_file(victim) == "precious");
}

TEST_CASE("restore: a log that belongs to another user than the backup is no part of it"
          * doctest::skip(::geteuid() != 0)) {
  constexpr uid_t nobody = 65534;
  crashed_service left;
  temp_dir dir;
  auto state = dir.path("state");
  fs::create_directory(state);
  for (const auto* part : {"-wal", "-journal"}) {
    CAPTURE(part);
    auto planted = left.backup + part;
    std::ofstream{planted} << "anything";
    CHECK(::chown(planted.c_str(), nobody, nobody) == 0);
    auto refused = restore(left.backup, state);
    CHECK(refused.code == 1);
    CHECK(has(refused.err, planted + " belongs to another user than " + left.backup));
    CHECK(fs::is_empty(state));
    fs::remove(planted);
  }
  CHECK(restore(left.backup, state).code == 0);
}

TEST_CASE("restore: a configuration that is named and cannot be read ends it") {
  crashed_service left;
  temp_dir dir;
  auto state = dir.path("state");
  fs::create_directory(state);
  std::ofstream{dir.path("bad.toml")} << "garbage [[";
  for (const auto* name : {"none.toml", "bad.toml"}) {
    CAPTURE(name);
    auto refused = run_program(
      {phictl(), "restore", left.backup, "--state-dir", state, "--config", dir.path(name)});
    CHECK(refused.code == 1);
    CHECK(has(refused.err, "the configuration says which database it is, and cannot be read"));
    CHECK(has(refused.err, name));
    CHECK(fs::is_empty(state));
  }
}

TEST_CASE("root reads no backup for the owner that the owner may not read, by no link"
          * doctest::skip(::geteuid() != 0 || !has_faults())) {
  constexpr uid_t nobody = 65534;
  constexpr uid_t somebody = 12'345;
  crashed_service left;
  temp_dir dir;
  auto state = dir.path("state");
  auto closed = dir.path("closed"); // root's alone
  auto home = dir.path("home");     // of who has called sudo
  CHECK(::chmod(dir.path().c_str(), 0755) == 0);
  for (const auto& [place, owner] : {std::pair{state, nobody}, {closed, 0}, {home, somebody}}) {
    fs::create_directory(place);
    fs::copy_file(left.backup, place + "/backup.db");
    for (const auto& name : {place + "/backup.db", place})
      CHECK(::chown(name.c_str(), owner, owner) == 0);
    CHECK(::chmod(place.c_str(), 0700) == 0);
    CHECK(::chmod((place + "/backup.db").c_str(), 0600) == 0);
  }
  const std::string secret = "what only root may read";
  std::ofstream{closed + "/secret"} << secret;
  CHECK(::chmod((closed + "/secret").c_str(), 0600) == 0);
  // Right behind the copy it is killed: what it has copied is there for its owner to read.
  auto refused = [&](const std::string& file, const settings& more = {}) {
    CAPTURE(file);
    auto env = more;
    env["PHI_FAULTS"] = "restore.copied=kill";
    auto result = restore(file, state, env);
    CHECK(result.code == 1);
    CHECK_MESSAGE(has(result.err, ": Permission denied; what the owner of the state directory may"
                                  " not read is taken only from root or the caller"),
                  result.err);
    CHECK(files_with(state, "restoring") == 0);
  };
  fs::create_symlink(closed + "/secret", state + "/evil.db");
  refused(state + "/evil.db");
  for (std::string part : {"-wal", "-journal"}) {
    fs::create_symlink(closed + "/secret", state + "/backup.db" + part);
    refused(state + "/backup.db");
    fs::remove(state + "/backup.db" + part);
  }
  fs::create_directory_symlink(closed, state + "/above");
  refused(state + "/above/backup.db");
  // Root's file in somebody's directory, and somebody's in root's.
  fs::copy_file(left.backup, home + "/roots.db");
  CHECK(::chmod((home + "/roots.db").c_str(), 0600) == 0);
  refused(home + "/roots.db");
  fs::copy_file(left.backup, closed + "/somebodys.db");
  CHECK(::chown((closed + "/somebodys.db").c_str(), somebody, somebody) == 0);
  refused(closed + "/somebodys.db");
  refused(home + "/backup.db");
  refused(home + "/backup.db", {{"SUDO_UID", "1234"}});
  // What is the owner's, root's alone, or the caller's own is taken.
  auto taken = [&](const std::string& file, const settings& env = {}) {
    auto result = restore(file, state, env);
    CHECK_MESSAGE(result.code == 0, result.err);
    CHECK(events_in(state + "/phi.db") == in_backup);
    fs::remove(state + "/phi.db");
  };
  taken(state + "/backup.db");
  taken(closed + "/backup.db");
  taken(home + "/backup.db", {{"SUDO_UID", std::to_string(somebody)}});
}

TEST_CASE("a backup that cannot be written says why, and leaves nothing"
          * doctest::skip(::geteuid() != 0 || may_not_mount())) {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  small_disk disk{dir.path("small"), "16k"};
  auto copy = dir.path("small/copy.db");
  auto full = ctl(dir, {"backup", copy});
  CHECK(full.code == 1);
  CHECK(full.err == "phictl: cannot write " + copy + ": No space left on device\n");
  CHECK(shell("ls -A " + dir.path("small")).out == "");
  // A directory that one may write and not read cannot be brought to disk.
  auto blind = dir.path("blind");
  std::filesystem::create_directory(blind);
  CHECK(::chmod(blind.c_str(), 0300) == 0);
  auto unsure =
    run_program({"/usr/bin/setpriv", "--bounding-set=-dac_override,-dac_read_search", phictl(),
                 "--socket", dir.path("admin.sock"), "backup", blind + "/copy.db"});
  CHECK(unsure.code == 1);
  CHECK(unsure.err == "phictl: cannot bring " + blind + " to disk: Permission denied\n");
  CHECK(shell("ls -A " + blind).out == "");
  // Nor is anything else that phictl writes lost in silence.
  for (const std::string words : {"status", "--json status", "stats summary", "tail", "--help"}) {
    CAPTURE(words);
    ctl(dir, {"send", "--feature", "f"});
    auto lost =
      shell(phictl() + " --socket " + dir.path("admin.sock") + " " + words + " > /dev/full");
    CHECK(lost.code == 1);
    CHECK(lost.err == "phictl: cannot write the output: No space left on device\n");
  }
  auto trace = ctl(dir, {"trace", "dump", "/dev/full"});
  CHECK(trace.code == 1);
  CHECK(trace.err == "phictl: cannot write /dev/full: No space left on device\n");
}
