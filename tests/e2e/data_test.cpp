// phictl's commands for the events themselves, against the real service.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/stored.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::json;

namespace {

void write_events(const std::string& file, int count) {
  std::ofstream out{file};
  for (int i = 0; i < count; ++i)
    out << R"({"feature":"import","action":")" << i % 10 << R"(","status":200,"durationMs":)"
        << i % 100 << "}\n";
}

const settings quiet{{"APP_STATS_TRACK_REQUESTS", "false"}};

} // namespace

TEST_CASE("send: from arguments and from stdin; what is wrong names its line") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  CHECK(ctl(dir, {"send", "--feature", "login", "--status", "200", "--id", "1"}).out
        == "1 stored, 0 known already, 0 rejected\n");
  CHECK(ctl(dir, {"send", "--feature", "login", "--id", "1"}).out
        == "0 stored, 1 known already, 0 rejected\n");
  CHECK(ctl(dir, {"send", "--feature", "login", "--status", "7"}).code == 1);
  auto piped = shell(R"(printf '{"feature":"a"}\n{"feture":"b"}\n{"feature":"c"}\n' | )" + phictl()
                     + " --json --socket " + dir.path("admin.sock") + " send");
  CHECK(piped.code == 1);
  CHECK(json::parse(piped.out)["stored"] == 2);
  CHECK(has(piped.err, "line 2: unknown_field /feture did you mean feature?"));
  CHECK(service.stop().code == 0); // the ledger balances
}

TEST_CASE("tail shows the last events, and -f the new ones, filtered") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  for (auto id : {"1", "2", "3"})
    ctl(dir, {"send", "--feature", "old", "--action", "number-" + std::string{id}});
  auto last = ctl(dir, {"tail", "-n", "2"});
  CHECK_FALSE(has(last.out, "number-1"));
  CHECK(has(last.out, "number-2"));
  CHECK(has(last.out, "number-3"));
  std::thread writer{[&] {
    std::this_thread::sleep_for(700ms);
    ctl(dir, {"send", "--feature", "other", "--action", "unseen"});
    ctl(dir, {"send", "--feature", "new", "--action", "seen"});
  }};
  auto followed = shell("timeout 2 " + phictl() + " --json --socket " + dir.path("admin.sock")
                        + " tail -f -n 1 --feature new");
  writer.join();
  CHECK(has(followed.out, "\"seen\""));
  CHECK_FALSE(has(followed.out, "unseen"));
  CHECK_FALSE(has(followed.out, "number-"));
}

TEST_CASE("import: plain, gzip and zstd, each once however often") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto plain = dir.path("events.ndjson");
  write_events(plain, 3500);
  shell("gzip -k " + plain + "; zstd -q " + plain + " -o " + dir.path("events.zst"));
  int64_t expected = 0;
  for (auto file : {plain, plain + ".gz", dir.path("events.zst")}) {
    CAPTURE(file);
    // The same lines are the same events, however they are packed, unless they have another name.
    std::vector<std::string> words{"import", file};
    if (file != plain) {
      CHECK(ctl(dir, words).out == "0 stored, 3 500 known already, 0 rejected\n");
      words.insert(words.end(), {"--again", file});
    }
    CHECK(ctl(dir, words).out == "3 500 stored, 0 known already, 0 rejected\n");
    CHECK(ctl(dir, words).out == "0 stored, 3 500 known already, 0 rejected\n");
    expected += 3500;
    CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == expected);
  }
  auto whole = read_file(dir.path("events.zst"));
  std::ofstream{dir.path("cut.zst")} << whole.substr(0, whole.size() / 2);
  auto cut = ctl(dir, {"import", dir.path("cut.zst")});
  CHECK(cut.code == 1);
  CHECK(has(cut.err, "it ends too early"));
  CHECK(service.stop().code == 0);
  CHECK(count_mismatch(in_file(service.database())) == "");
}

TEST_CASE("import and send: a service that takes few events a request gets few at a time") {
  temp_dir dir;
  auto with = quiet;
  auto file = dir.path("events.ndjson");
  write_events(file, 2500);
  std::ofstream{file, std::ios::app} << R"({"feture":"x"})"
                                     << "\n"; // line 2501
  for (const auto* most : {"7", "1", "10000"}) {
    CAPTURE(most);
    with["APP_STATS_MAX_EVENTS_PER_REQUEST"] = most;
    service_process service{dir.path(), with};
    auto all = ctl(dir, {"import", file, "--again", most});
    CHECK(all.code == 1);
    CHECK(all.out == "2 500 stored, 0 known already, 1 rejected\n");
    CHECK(has(all.err, "line 2501: unknown_field"));
    CHECK(has(ctl(dir, {"import", file, "--again", most}).out,
              "0 stored, 2 500 known already, 1 rejected\n"));
    auto sent = shell("head -n 20 " + file + " | " + phictl() + " --socket "
                      + dir.path("admin.sock") + " send");
    CHECK(sent.out == "20 stored, 0 known already, 0 rejected\n");
    CHECK(service.stop().code == 0);
  }
  CHECK(ask_database(dir.path("phi.db"), "SELECT count(*) FROM event") == 3 * 2520);
}

TEST_CASE("import: what is no file is refused, with the command that takes a pipe") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  REQUIRE(::mkfifo(dir.path("pipe").c_str(), 0600) == 0);
  auto refused = ctl(dir, {"import", dir.path("pipe")});
  CHECK(refused.code == 2);
  CHECK(has(refused.err, "is no regular file"));
  CHECK(has(refused.err, "phictl send"));
}

TEST_CASE("import: a file that has grown counts its new lines only") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto file = dir.path("grows.ndjson");
  std::ofstream{file}
    << "{\"feature\":\"a\"}\n{\"feature\":\"a\"}\n{\"id\":null,\"feature\":\"a\"}";
  CHECK(ctl(dir, {"import", file}).out == "3 stored, 0 known already, 0 rejected\n");
  CHECK(ctl(dir, {"import", file}).out == "0 stored, 3 known already, 0 rejected\n");
  std::ofstream{file, std::ios::app}
    << "\n{\"feature\":\"a\"}\n{\"feature\":\"b\",\"id\":\"own\"}\n";
  CHECK(ctl(dir, {"import", file}).out == "2 stored, 3 known already, 0 rejected\n");
  // Under another name and path they are still the same lines; sent as a file as well.
  shell("mv " + file + " " + file + ".1");
  CHECK(ctl(dir, {"import", file + ".1"}).out == "0 stored, 5 known already, 0 rejected\n");
  CHECK(shell(phictl() + " --socket " + dir.path("admin.sock") + " send < " + file + ".1").out
        == "0 stored, 5 known already, 0 rejected\n");
  CHECK(service.stop().code == 0);
}

TEST_CASE("import: two files of one size with the same first MiB are two files") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  constexpr int same = 15'000; // more than a MiB of lines
  for (std::string name : {"one", "two"}) {
    std::ofstream out{dir.path(name)};
    for (int i = 0; i < same; ++i)
      out << R"({"feature":"same","action":"words that make it longer","status":200})"
          << "\n";
    for (int i = 0; i < 500; ++i)
      out << R"({"feature":")" << name << "\"}\n";
  }
  CHECK(ctl(dir, {"import", dir.path("one")}).out
        == "15 500 stored, 0 known already, 0 rejected\n");
  CHECK(ctl(dir, {"import", dir.path("two")}).out
        == "500 stored, 15 000 known already, 0 rejected\n");
  CHECK(service.stop().code == 0);
}

TEST_CASE(
  "import and send: a line that cannot be sent is refused by its number, the others go on") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto file = dir.path("odd.ndjson");
  std::ofstream{file}
    << "\xef\xbb\xbf{\"feature\":\"first\"}\n\n" // line 1 with a byte order mark, 2
    << R"({"feature":"long","extra":{"x":")" << std::string(1 << 20, 'x') << "\"}}\n"
    << R"({"feature":"quoted","extra":{"x":")" <<
    [] {
      std::string quotes;
      for (int i = 0; i < 300'000; ++i)
        quotes += "\\\"";
      return quotes;
    }()
    << "\"}}\n"
    << "{\"feature\":\"caf\xe9\"}\n"
    << "{\"feture\":\"wrong\"}\n"
    << "{\"feature\":\"last\"}\n";
  for (bool sending : {false, true}) {
    CAPTURE(sending);
    auto result =
      sending ? shell(phictl() + " --json --socket " + dir.path("admin.sock") + " send < " + file)
              : ctl(dir, {"--json", "import", file, "--again", "x"});
    CHECK(result.code == 1);
    auto counted = json::parse(result.out);
    CHECK(counted["stored"] == 2);
    CHECK(counted["rejected"] == 4);
    CHECK(has(result.err, "line 3: event_too_large"));
    CHECK(has(result.err, "line 4: event_too_large"));
    CHECK(has(result.err, "line 5: not_utf8 byte 16 is no UTF-8"));
    CHECK(has(result.err, "line 6: unknown_field /feture"));
  }
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE feature = 'last'") == 2);
  CHECK(service.stop().code == 0);
}

TEST_CASE("import: a bookmark holds for the database that has its lines, and for no other") {
  temp_dir files;
  temp_dir dir;
  constexpr int count = 20'000;
  auto plain = files.path("events.ndjson");
  auto file = files.path("events.gz");
  write_events(plain, count);
  auto put = [&] { shell("gzip -c " + plain + " > " + file); };
  // An import that ends early leaves a bookmark; then the whole file is there.
  auto begin = [&](const temp_dir& where) {
    put();
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
    CHECK(ctl(where, {"import", file}).code == 1);
    auto lines = json::parse(read_file(file + ".phi-import"))["lines"].get<int>();
    CHECK(lines >= 1000);
    CHECK(lines < count);
    put();
    return lines;
  };
  auto backup = dir.path("before.db");
  {
    service_process service{dir.path(), quiet};
    CHECK(ctl(dir, {"backup", backup}).code == 0);
    auto lines = begin(dir);
    auto resumed = ctl(dir, {"import", file});
    CHECK(has(resumed.err, "goes on behind line "));
    CHECK(has(resumed.out, " known already, 0 rejected"));
    CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == count);
    CHECK_FALSE(std::filesystem::exists(file + ".phi-import"));
    CHECK(lines > 0);
    begin(dir);
    CHECK(service.stop().code == 0);
  }
  {
    temp_dir elsewhere; // another service, which has nothing of it
    service_process other{elsewhere.path(), quiet};
    auto whole = ctl(elsewhere, {"import", file});
    CHECK(has(whole.err, "begins at line 1 of " + file));
    CHECK(whole.out == "20 000 stored, 0 known already, 0 rejected\n");
    begin(elsewhere);
    CHECK(other.stop().code == 0);
  }
  {
    service_process service{dir.path(), quiet};
    CHECK(ctl(dir, {"import", file}).out == "0 stored, 20 000 known already, 0 rejected\n");
    begin(dir);
    CHECK(service.stop().code == 0);
  }
  CHECK(run_program({phictl(), "restore", backup, "--state-dir", dir.path()}).code == 0);
  service_process restored{dir.path(), quiet};
  auto again = ctl(dir, {"import", file});
  CHECK(has(again.err, "of one from before a restore"));
  CHECK(again.out == "20 000 stored, 0 known already, 0 rejected\n");
}

TEST_CASE("import: a service that comes back with another database ends it") {
  temp_dir dir;
  auto file = dir.path("events.ndjson");
  write_events(file, 400'000);
  auto service = std::make_unique<service_process>(dir.path(), quiet);
  program_result result;
  std::thread importing{[&] { result = ctl(dir, {"import", file}); }};
  while (ask_database(service->database(), "SELECT count(*) FROM event") < 1000)
    std::this_thread::sleep_for(20ms);
  CHECK(service->stop().code == 0);
  std::filesystem::remove(service->database());
  service = std::make_unique<service_process>(dir.path(), quiet);
  importing.join();
  CHECK(result.code == 1);
  CHECK(has(result.err, "the service has another database than when the import began"));
  CHECK(ask_database(service->database(), "SELECT count(*) FROM event") == 0);
  auto again = ctl(dir, {"import", file});
  CHECK(has(again.err, "begins at line 1 of " + file));
  CHECK(again.out == "400 000 stored, 0 known already, 0 rejected\n");
}

TEST_CASE("import and send: what the HTTP interface refuses of a line, they refuse as well") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto file = dir.path("odd.ndjson");
  std::string deep(60'000, '[');
  std::ofstream{file} << R"({"feature":"deep","extra":{"x":)" << deep << std::string(60'000, ']')
                      << "}}\n"
                      << R"({"feature":"deep","extra":)" << deep << "\n"
                      << deep << "\n"
                      << R"({"feature":"x","feature":"y"})"
                      << "\n"
                      << R"({"id":null,"id":"z","feature":"w"})"
                      << "\n"
                      << R"({"feature":"good"})"
                      << "\n";
  for (bool sending : {false, true}) {
    CAPTURE(sending);
    auto result = sending
                    ? shell(phictl() + " --socket " + dir.path("admin.sock") + " send < " + file)
                    : ctl(dir, {"import", file, "--again", "x"});
    CHECK(result.code == 1);
    CHECK(result.out == "1 stored, 0 known already, 5 rejected\n");
    CHECK(has(result.err, "line 1: event_too_large"));
    CHECK(has(result.err, "line 4: duplicate_field /feature the field is given twice"));
    CHECK(has(result.err, "line 5: duplicate_field /id the field is given twice"));
  }
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == 2);
  CHECK(service.stop().code == 0);
}

TEST_CASE("import and send: a file that was converted to other ends of lines counts once") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  const std::string mark = "\xef\xbb\xbf";
  // Behind a line that ends a block of 64 KiB but for a byte, one that ends a block with its
  // carriage return, and is just not too long for a line.
  const std::string padding(65'533, ' ');
  std::string edge = R"({"feature":"edge","extra":{"x":")";
  edge += std::string((1 << 20) - edge.size(), 'x');
  const std::string long_line(2 << 20, 'x');
  const std::string event = "{\"feature\":\"a\"}";
  std::string all;
  for (const auto& line : {padding, edge, event, std::string{}, event, long_line, event})
    all += line + "\n";
  auto converted = [&](bool marked, bool returns, bool ended) {
    auto text = ended ? all : all.substr(0, all.size() - 1);
    for (size_t at = 0; returns && (at = text.find('\n', at)) != text.npos; at += 2)
      text.insert(at, "\r");
    return (marked ? mark : "") + text;
  };
  bool first = true;
  for (bool marked : {false, true})
    for (bool returns : {false, true})
      for (bool ended : {true, false}) {
        CAPTURE(marked);
        CAPTURE(returns);
        CAPTURE(ended);
        auto file = dir.path("events.ndjson");
        std::ofstream{file} << converted(marked, returns, ended);
        auto expected =
          std::string{first ? "3 stored, 0" : "0 stored, 3"} + " known already, 2 rejected\n";
        first = false;
        auto imported = ctl(dir, {"import", file});
        CHECK(imported.out == expected);
        CHECK(imported.err
              == "line 2: event_too_large a line may have up to 1 MiB\nline 6:"
                 " event_too_large a line may have up to 1 MiB\n");
        CHECK(shell(phictl() + " --socket " + dir.path("admin.sock") + " send < " + file).out
              == "0 stored, 3 known already, 2 rejected\n");
      }
  CHECK(service.stop().code == 0);
}

TEST_CASE("send: lines of a pipe without ids are said to count again, once") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto line = phictl() + " --socket " + dir.path("admin.sock") + " send";
  const std::string said =
    "lines without an id come from a pipe: when they are sent again they count again. Lines of a"
    " file count once (phictl send < FILE, phictl import FILE), and so do those with ids of their"
    " own\n";
  CHECK(shell("printf '{\"feature\":\"a\",\"id\":\"1\"}\n{\"feature\":\"a\"}\n{\"id\":null,"
              "\"feature\":\"a\"}\n' | "
              + line)
          .err
        == said);
  CHECK(shell("echo '{\"feature\":\"a\",\"id\":\"2\"}' | " + line).err == "");
  std::ofstream{dir.path("file")} << "{\"feature\":\"a\"}\n";
  CHECK(shell(line + " < " + dir.path("file")).err == "");
  CHECK(shell("(read; " + line + ") < " + dir.path("file")).err == "");
  std::ofstream{dir.path("file"), std::ios::app} << "{\"feature\":\"b\"}\n";
  CHECK(shell("(read; " + line + ") < " + dir.path("file")).err == said); // not from its beginning
  CHECK(ctl(dir, {"send", "--feature", "a"}).err == "");
}

TEST_CASE("send: lines of a pipe count each time, and at once") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto line = phictl() + " --socket " + dir.path("admin.sock") + " send";
  for (int i = 0; i < 2; ++i)
    CHECK(shell("printf '{\"feature\":\"a\"}\n{\"feature\":\"a\"}\n' | " + line).out
          == "2 stored, 0 known already, 0 rejected\n");
  std::thread slow{[&] { shell("(echo '{\"feature\":\"slow\"}'; sleep 2) | " + line); }};
  auto until = std::chrono::steady_clock::now() + 1500ms;
  auto stored = [&] {
    return ask_database(service.database(), "SELECT count(*) FROM event WHERE feature = 'slow'");
  };
  while (stored() == 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(20ms);
  CHECK(stored() == 1);
  slow.join();
}

TEST_CASE("import with a kill -9 in the middle, of the service and of phictl: exactly once") {
  temp_dir dir;
  int count = has_sanitizer() ? 100'000 : 1'000'000;
  auto file = dir.path("million.ndjson");
  write_events(file, count);
  auto import_line =
    phictl() + " --socket " + dir.path("admin.sock") + " import " + file + " 2>/dev/null";
  auto stored = [&](const service_process& service) {
    return ask_database(service.database(), "SELECT count(*) FROM event");
  };
  {
    // The service is killed and comes back: the import goes on by itself.
    auto first = std::make_unique<service_process>(dir.path(), quiet);
    auto pid_file = dir.path("import.pid");
    std::thread importing{[&] { shell(import_line + " & echo $! > " + pid_file + "; wait"); }};
    while (stored(*first) < count / 4)
      std::this_thread::sleep_for(20ms);
    first->kill();
    first = std::make_unique<service_process>(dir.path(), quiet);
    while (stored(*first) < count / 2)
      std::this_thread::sleep_for(20ms);
    // Now the import itself is killed.
    ::kill(std::stoi(read_file(pid_file)), SIGKILL);
    importing.join();
    CHECK(stored(*first) < count);
    auto resumed = shell(import_line);
    CHECK(resumed.code == 0);
    CHECK(has(resumed.out, "0 rejected"));
    CHECK(first->stop().code == 0);
    CHECK(stored(*first) == count);
    CHECK(count_mismatch(in_file(first->database())) == "");
  }
}

TEST_CASE("backup, restore, verify") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto events = dir.path("events.ndjson");
  write_events(events, 20'000);
  CHECK(ctl(dir, {"import", events}).code == 0);
  auto copy = dir.path("copy.db");
  auto made = ctl(dir, {"backup", copy});
  CHECK(made.out.starts_with(copy + ": 20 000 events"));
  CHECK(ask_database(copy, "SELECT count(*) FROM event") == 20'000);
  CHECK(count_mismatch(in_file(copy)) == "");
  CHECK(shell("ls " + dir.path() + " | grep -c part").out == "0\n");
  CHECK(ctl(dir, {"backup", copy}).code == 1); // never over a file
  CHECK(ctl(dir, {"backup", "/nowhere/copy.db"}).code == 1);
  auto verified = ctl(dir, {"verify"});
  CHECK(verified.code == 0);
  CHECK(has(verified.out, "same"));
  CHECK(has(verified.out, "balanced"));
  // The copy takes the place of the database, but not while the service runs.
  std::vector<std::string> restore{phictl(), "restore", copy, "--state-dir", dir.path()};
  auto refused = run_program(restore);
  CHECK(refused.code == 1);
  CHECK(has(refused.err, "phictl stop --wait"));
  ctl(dir, {"send", "--feature", "after-the-backup"});
  CHECK(service.stop().code == 0);
  std::ofstream{dir.path("broken.db")} << "SQLite format 3, or not";
  CHECK(run_program({phictl(), "restore", dir.path("broken.db"), "--state-dir", dir.path()}).code
        == 1);
  auto restored = run_program(restore);
  INFO(restored.err);
  CHECK(restored.code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == 20'000);
  CHECK(ask_database(service.database() + ".before-restore", "SELECT count(*) FROM event")
        == 20'001);
  service_process again{dir.path(), quiet};
  CHECK(ctl(dir, {"verify"}).code == 0);
  shell("sqlite3 " + service.database()
        + " 'INSERT INTO cube SELECT id + 1000, level, last_seq, body FROM"
          " cube LIMIT 1'");
  verified = ctl(dir, {"verify"});
  CHECK(verified.code == 1);
  CHECK(has(verified.out, "DIFFERENT"));
}
