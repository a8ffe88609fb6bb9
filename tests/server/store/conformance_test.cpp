// What every store must do, run against SQLite and PostgreSQL with the same expectations.

#include "protocol/text/rfc3339.hpp"
#include "server/store/postgres/ports.hpp"
#include "server/store/sqlite/database_file.hpp"
#include "server/store/sqlite/ports.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/stored.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <latch>
#include <limits>
#include <random>
#include <thread>
#include <unistd.h>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::json;

namespace {

/// Ends the work at a time, for a reason.
class alarm_watch : public work_watch {
public:
  alarm_watch(std::chrono::milliseconds after, end_cause why)
    : at_(std::chrono::steady_clock::now() + after),
      why_(why) {}
  end_cause check() noexcept override {
    ++looks;
    return std::chrono::steady_clock::now() >= at_ ? why_ : end_cause::none;
  }
  int looks = 0;

private:
  std::chrono::steady_clock::time_point at_;
  end_cause why_;
};

/// One database of one kind, empty at first.
class tested_database {
public:
  virtual ~tested_database() = default;
  virtual store_port_ptr store(const std::string& instance = "one") = 0;
  virtual reader_port_ptr reader(std::chrono::milliseconds limit = 10s) = 0;
  virtual int64_t number(const std::string& sql) = 0;
  virtual void run(const std::string& sql) = 0;
  virtual std::string mismatch() = 0;
  virtual void forget_id() = 0;
};

class sqlite_database : public tested_database {
public:
  store_port_ptr store(const std::string&) override { return make_sqlite_store(with(10s)); }
  reader_port_ptr reader(std::chrono::milliseconds limit) override {
    return make_sqlite_reader(with(limit));
  }
  int64_t number(const std::string& sql) override { return ask_database(file(), sql); }
  void run(const std::string& sql) override { in_file(file())(sql); }
  std::string mismatch() override { return testing::count_mismatch(in_file(file())); }
  void forget_id() override { settle_file(file()); } // as a restore does

private:
  std::string file() const { return dir_.path("phi.db"); }
  sqlite_settings with(std::chrono::milliseconds query_timeout) const {
    return {.file = file(), .busy_timeout = 2s, .query_timeout = query_timeout};
  }
  temp_dir dir_;
};

class postgres_database : public tested_database {
public:
  store_port_ptr store(const std::string& instance) override {
    auto settings = with(10s);
    settings.instance = instance;
    return make_postgres_store(settings);
  }
  reader_port_ptr reader(std::chrono::milliseconds limit) override {
    return make_postgres_reader(with(limit));
  }
  int64_t number(const std::string& sql) override { return server_.number(sql); }
  void run(const std::string& sql) override { server_.ask(sql); }
  std::string mismatch() override { return server_.count_mismatch(); }
  void forget_id() override { run("DELETE FROM about WHERE name = 'database_id'"); }

private:
  postgres_settings with(std::chrono::milliseconds query_timeout) const {
    return {.url = server_.url(),
            .instance = "one",
            .connect_timeout = 2s,
            .commit_timeout = 5s,
            .query_timeout = query_timeout};
  }
  postgres_server server_;
};

/// Runs a case against each kind of store.
template <class Case>
void each_store(Case test) {
  SUBCASE("SQLite") {
    sqlite_database db;
    test(db);
  }
  SUBCASE("PostgreSQL") {
    postgres_database db;
    test(db);
  }
}

template <class Question>
query_answer answered(const reader_port_ptr& reader, const Question& question) {
  auto answer = ask(reader, question);
  INFO(answer.detail);
  REQUIRE(answer.error == error_code::none);
  return answer;
}

event random_event(std::mt19937& random) {
  auto e = make_event(static_cast<uint32_t>(random() % 4000), "f" + std::to_string(random() % 3),
                      1'767'323'045'000'000 + static_cast<int64_t>(random()) % 1'000'000'000'000);
  e.status = static_cast<int32_t>(random() % 4 ? 100 + random() % 500 : 0);
  e.duration_us = random() % 3 ? static_cast<int64_t>(random() % 10'000'000) : -1;
  e.route = random() % 2 ? "/r" + std::to_string(random() % 5) : "";
  e.method = e.route.empty() ? "" : random() % 2 ? "GET" : "PÖST";
  // The service's own requests are among the rows, and in no count.
  const std::string actions[] = {"a0", "a1", "a2", "a3", "phi:request"};
  e.action = random() % 2 ? actions[random() % 5] : "";
  e.user_hash = random() % 2 ? "user" + std::to_string(random() % 50) : "";
  e.user_kind = e.user_hash.empty() || random() % 2 ? "" : "guest";
  e.instance = random() % 2 ? "i" : "";
  e.address_hash = random() % 2 ? "address" + std::to_string(random() % 9) : "";
  e.extra = random() % 5 ? "" : R"({"x":"ä\u0001"})";
  return e;
}

std::vector<event> random_events(std::mt19937& random, int count) {
  std::vector<event> out;
  for (int i = 0; i < count; ++i)
    out.push_back(random_event(random));
  return out;
}

} // namespace

TEST_CASE("events of several requests are committed in one transaction, each counted once") {
  each_store([](tested_database& db) {
    auto store = db.store();
    REQUIRE(store->open().why() == "");
    auto result = store->commit(
      *batch_of({{make_event(1), make_event(2)}, {make_event(2), make_event(3)}, {make_event(1)}}));
    INFO(result.detail);
    REQUIRE(result.error == error_code::none);
    REQUIRE(result.requests.size() == 3);
    CHECK(result.requests[0].stored == 2);
    CHECK(result.requests[1].stored == 1);
    CHECK(result.requests[1].duplicates == 1);
    CHECK(result.requests[2].duplicates == 1);
    CHECK(store->commit(*batch_of({{make_event(3)}})).requests[0].duplicates == 1);
    CHECK(store->close().why() == "");
    CHECK(db.number("SELECT count(*) FROM event") == 3);
    CHECK(db.mismatch() == "");
  });
}

TEST_CASE("a database has one id, whoever opens it and however often; another has another") {
  each_store([](tested_database& db) {
    auto store = db.store();
    CHECK(store->database_id() == "");
    REQUIRE(store->open().why() == "");
    auto id = store->database_id();
    CHECK(id.size() >= 16);
    auto other = db.store("two");
    REQUIRE(other->open().why() == "");
    CHECK(other->database_id() == id);
    CHECK(store->close().why() == "");
    CHECK(other->close().why() == "");
    auto again = db.store();
    REQUIRE(again->open().why() == "");
    CHECK(again->database_id() == id);
    CHECK(again->close().why() == "");
    db.forget_id();
    REQUIRE(again->open().why() == "");
    CHECK(again->database_id() != id);
    CHECK(again->database_id().size() >= 16);
  });
}

TEST_CASE("an abandoned batch leaves no trace, and can be committed when it is opened again") {
  each_store([](tested_database& db) {
    auto store = db.store();
    REQUIRE(store->open().why() == "");
    auto batch = batch_of({{make_event(1)}});
    REQUIRE(batch->abandon());
    CHECK(store->commit(*batch).error == error_code::store_unavailable);
    CHECK(db.number("SELECT count(*) FROM event") == 0);
    batch->reopen();
    CHECK(store->commit(*batch).requests[0].stored == 1);
  });
}

TEST_CASE("a batch that the database refuses leaves no trace; the next one goes through, twice") {
  each_store([](tested_database& db) {
    auto store = db.store();
    REQUIRE(store->open().why() == "");
    REQUIRE(store->commit(*batch_of({{make_event(1)}})).error == error_code::none);
    for (uint32_t i = 0; i < 2; ++i) {
      db.run("ALTER TABLE event RENAME TO away");
      auto refused = batch_of({{make_event(2), make_event(3)}});
      CHECK(store->commit(*refused).error == error_code::store_unavailable);
      db.run("ALTER TABLE away RENAME TO event");
      auto result = store->commit(*batch_of({{make_event(10 + i)}}));
      INFO(result.detail);
      REQUIRE(result.error == error_code::none);
      CHECK(result.requests[0].stored == 1);
    }
    CHECK(store->close().why() == "");
    CHECK(db.number("SELECT count(*) FROM event") == 3);
    CHECK(db.mismatch() == "");
  });
}

TEST_CASE("counts say what the rows say, for random events in batches small and large") {
  each_store([](tested_database& db) {
    auto store = db.store();
    REQUIRE(store->open().why() == "");
    std::mt19937 random{42};
    for (int round = 0; round < 20; ++round) {
      auto result = store->commit(*batch_of({random_events(random, round % 2 ? 50 : 700)}));
      INFO(result.detail);
      REQUIRE(result.error == error_code::none);
    }
    CHECK(db.number("SELECT count(*) FROM event") > 3000);
    CHECK(db.mismatch() == "");
    auto reader = db.reader();
    REQUIRE(reader->open().why() == "");
    auto verified = ask(reader, verification);
    INFO(verified.detail);
    CHECK(json::parse(verified.body)["ok"] == true);
  });
}

TEST_CASE("sums of durations never overflow: the counts go on, summary and verify answer") {
  each_store([](tested_database& db) {
    auto store = db.store();
    REQUIRE(store->open().why() == "");
    auto slow = [](uint32_t number, int64_t us, const char* feature = "f") {
      auto e = make_event(number, feature);
      e.duration_us = us;
      return e;
    };
    auto commits = [&](std::vector<event> events) {
      auto result = store->commit(*batch_of({std::move(events)}));
      INFO(result.detail);
      REQUIRE(result.error == error_code::none);
      return result.requests.at(0).stored;
    };
    auto reader = db.reader();
    REQUIRE(reader->open().why() == "");
    auto asked = [&](const auto& question) { return json::parse(answered(reader, question).body); };
    auto mean_ms = [&](const std::string& feature) {
      return asked(summary("include=latency&feature=" + feature))["latency"]["avgMs"].get<double>();
    };
    // One row alone is near the end, then several rows, then one row goes past it.
    constexpr auto huge = std::numeric_limits<int64_t>::max();
    CHECK(commits({slow(1, huge - 5), make_event(2)}) == 2);
    CHECK(asked(verification)["ok"] == true);
    CHECK(commits({slow(3, huge - 7, "g")}) == 1);
    CHECK(asked(verification)["ok"] == true);
    CHECK(mean_ms("f") == doctest::Approx(static_cast<double>(huge) / 1000.0));
    CHECK(commits({slow(4, 10), slow(5, huge), make_event(6)}) == 3);
    CHECK(commits({slow(7, 10)}) == 1);
    CHECK(commits({slow(8, 7, "g")}) == 1);
    std::string differ;
    auto verified = asked(verification);
    for (const auto& check : verified["checks"])
      differ += check["ok"] == true ? "" : check["what"].get<std::string>() + ";";
    CHECK(differ == "");
    CHECK(asked(summary("include=latency"))["latency"]["sampleCount"] == 6);
    CHECK(asked(summary())["features"].size() == 2);
    CHECK(asked(summary())["eventsTotal"] == 8);
  });
}

TEST_CASE("the same ids sent to three writers at once are stored once") {
  each_store([](tested_database& db) {
    std::vector<std::thread> writers;
    std::atomic<uint64_t> stored{0};
    std::atomic<uint64_t> duplicates{0};
    std::atomic<uint64_t> failed{0};
    REQUIRE(db.store()->open().why() == "");
    std::latch all_open{3}; // else the last one finds what the others have stored
    for (int writer = 0; writer < 3; ++writer)
      writers.emplace_back([&, writer] {
        auto store = db.store("writer " + std::to_string(writer));
        failed += store->open().why() != "";
        all_open.arrive_and_wait();
        std::mt19937 random{static_cast<uint32_t>(writer)};
        for (uint32_t round = 0; round < 20; ++round) {
          std::vector<event> events;
          for (uint32_t i = 0; i < 100; ++i)
            events.push_back(make_event(round * 50 + i));
          std::shuffle(events.begin(), events.end(), random);
          auto result = store->commit(*batch_of({std::move(events)}));
          if (result.error != error_code::none) {
            ++failed;
            continue;
          }
          stored += result.requests[0].stored;
          duplicates += result.requests[0].duplicates;
        }
      });
    for (auto& writer : writers)
      writer.join();
    CHECK(failed == 0);
    CHECK(stored == 20 * 50 + 50);
    CHECK(stored + duplicates == 3 * 20 * 100);
    CHECK(db.number("SELECT count(*) FROM event") == 20 * 50 + 50);
    CHECK(db.mismatch() == "");
  });
}

TEST_CASE("unique users of a day are exact in any zone") {
  each_store([](tested_database& db) {
    auto store = db.store();
    REQUIRE(store->open().why() == "");
    std::vector<event> events;
    // One user an hour over two UTC days; user 0 comes in every hour.
    constexpr int64_t midnight = 1'767'312'000'000'000; // 2026-01-02T00:00:00Z
    uint32_t number = 0;
    for (int hour = 0; hour < 48; ++hour)
      for (auto user : {hour, 0}) {
        auto e = make_event(++number, "f", midnight + hour * 3'600'000'000LL);
        e.user_hash = "u" + std::to_string(user);
        events.push_back(std::move(e));
      }
    store->commit(*batch_of({std::move(events)}));
    auto reader = db.reader();
    REQUIRE(reader->open().why() == "");
    auto users = [&](const char* zone, int32_t day) {
      auto date = format_date(day);
      auto answer =
        ask(reader, endpoint_question("/stats/daily/features",
                                      "start=" + date + "&end=" + date + "&timezone=" + zone));
      REQUIRE(answer.error == error_code::none);
      return json::parse(answer.body)["rows"][0]["uniqueUsers"].get<int>();
    };
    auto day = static_cast<int32_t>(midnight / 86'400'000'000);
    CHECK(users("UTC", day) == 24);
    CHECK(users("UTC", day + 1) == 25);
    CHECK(users("Asia/Kathmandu", day) == 19);     // 00:00 to 18:15 UTC: hours 0 to 18
    CHECK(users("Asia/Kathmandu", day + 1) == 25); // hours 19 to 42, and user 0
  });
}

TEST_CASE("an answer is never stale, whatever was asked before") {
  each_store([](tested_database& db) {
    auto store = db.store();
    REQUIRE(store->open().why() == "");
    REQUIRE(store->commit(*batch_of({{make_event(1)}})).error == error_code::none);
    auto reader = db.reader();
    REQUIRE(reader->open().why() == "");
    auto total = [&] {
      auto answer = answered(reader, summary("include=latency"));
      return json::parse(answer.body)["eventsTotal"].get<int>();
    };
    auto events = [&] {
      auto answer = answered(reader, reader_query{recent_events_query{.limit = 10, .after = 0}});
      return json::parse(answer.body)["events"].size();
    };
    CHECK(events() == 1);
    REQUIRE(store->commit(*batch_of({{make_event(2)}})).error == error_code::none);
    CHECK(total() == 2);
    CHECK(events() == 2);
  });
}

TEST_CASE("a question that takes too long is ended and told so") {
  each_store([](tested_database& db) {
    auto store = db.store();
    REQUIRE(store->open().why() == "");
    std::vector<event> events;
    for (uint32_t i = 0; i < 20'000; ++i)
      events.push_back(make_event(i, "f" + std::to_string(i)));
    REQUIRE(store->commit(*batch_of({std::move(events)})).error == error_code::none);
    auto reader = db.reader();
    REQUIRE(reader->open().why() == "");
    alarm_watch watch{1ms, end_cause::out_of_time};
    auto answer = reader->answer(summary("include=routes,actions"), watch);
    INFO(answer.detail);
    CHECK(answer.error == error_code::query_timeout);
    CHECK(answer.detail.find("shorter range") != std::string::npos);
  });
}

TEST_CASE("both stores give the same answer to the same question about the same events") {
  std::vector<std::string> answers;
  for (int which : {0, 1}) {
    std::unique_ptr<tested_database> db = std::make_unique<sqlite_database>();
    if (which == 1)
      db = std::make_unique<postgres_database>();
    auto store = db->store();
    REQUIRE(store->open().why() == "");
    std::mt19937 random{7};
    for (int round = 0; round < 5; ++round)
      REQUIRE(store->commit(*batch_of({random_events(random, 300)})).error == error_code::none);
    auto reader = db->reader();
    REQUIRE(reader->open().why() == "");
    auto day = static_cast<int32_t>(1'767'323'045'000'000 / 86'400'000'000);
    std::string all;
    const auto range = "start=" + format_date(day - 2) + "&end=" + format_date(day + 2);
    auto add = [&](std::string_view path, const std::string& more) {
      all += answered(reader, endpoint_question(path, range + more)).body + "\n";
    };
    for (std::string zone : {"&timezone=UTC", "&timezone=Asia/Kathmandu"}) {
      for (std::string feature : {"", "&feature=f1", "&feature=none"}) {
        add("/stats/daily", zone + feature);
        add("/stats/daily/features", zone + feature);
        add("/stats/summary", zone + feature + "&include=all&top=3");
        for (std::string bucket : {"day", "week", "month"})
          add("/stats/latency", zone + feature + "&bucket=" + bucket);
      }
      for (std::string by : {"none", "feature", "route", "status", "class", "instance"})
        add("/stats/series", zone + "&top=2&compare=previous&interval=hour&by=" + by);
      add("/stats/series", zone + "&by=user_kind&feature=f1&feature=f2");
      add("/stats/series", zone + "&by=method&feature=f1&metrics=events,min,p50,p999");
      add("/stats/daily/dau", zone);
      for (std::string route : {"", "&route=/r1", "&top=2"})
        add("/stats/daily/http", zone + route);
    }
    answers.push_back(all);
  }
  CHECK(answers[0].size() > 5000);
  CHECK(answers[0] == answers[1]);
}

TEST_CASE(
  "PostgreSQL: a question that waits for a lock is ended within 100 ms, and looks meanwhile") {
  postgres_database server;
  tested_database& db = server;
  auto store = db.store();
  REQUIRE(store->open().why() == "");
  std::thread locker{
    [&] { db.run("BEGIN; LOCK TABLE cube IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4); COMMIT"); }};
  std::this_thread::sleep_for(1s);
  auto reader = db.reader();
  REQUIRE(reader->open().why() == "");
  for (auto [why, error] : {std::pair{end_cause::stopping, error_code::stopping},
                            std::pair{end_cause::out_of_time, error_code::query_timeout}}) {
    alarm_watch watch{500ms, why};
    auto began = std::chrono::steady_clock::now();
    CHECK(reader->answer(summary(), watch).error == error);
    auto took = std::chrono::steady_clock::now() - began;
    CHECK(took >= 500ms);
    CHECK(took < 1500ms); // a busy machine; the connection is made anew
    CHECK(watch.looks >= 5);
  }
  CHECK(ask(db.reader(400ms), summary()).error == error_code::query_timeout); // by the server
  locker.join();
  // The server has ended the statements: nobody waits there for us.
  CHECK(db.number("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%reader' AND"
                  " state = 'active'")
        == 0);
  CHECK(ask(reader, summary()).error == error_code::none);
}

TEST_CASE("PostgreSQL: a session that was ended while it was idle costs no question") {
  postgres_database server;
  tested_database& db = server;
  auto store = db.store();
  REQUIRE(store->open().why() == "");
  auto reader = db.reader();
  REQUIRE(reader->open().why() == "");
  CHECK(ask(reader, summary()).error == error_code::none);
  CHECK(db.number("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE"
                  " application_name LIKE '%reader'")
        == 1);
  std::this_thread::sleep_for(200ms);
  CHECK(ask(reader, summary()).error == error_code::none);
}

TEST_CASE("SQLite: a question, a check and a copy end when they are told to, and leave nothing") {
  sqlite_database file_database;
  tested_database& db = file_database;
  auto store = db.store();
  REQUIRE(store->open().why() == "");
  std::mt19937 random{3};
  for (int round = 0; round < 10; ++round)
    REQUIRE(store->commit(*batch_of({random_events(random, 1000)})).error == error_code::none);
  auto reader = db.reader();
  REQUIRE(reader->open().why() == "");
  temp_dir dir;
  auto file = dir.path("copy.db");
  auto ends_at_once = [&](const auto& question) {
    alarm_watch watch{0ms, end_cause::stopping};
    CHECK(reader->answer(question, watch).error == error_code::stopping);
    CHECK_FALSE(std::filesystem::exists(file));
  };
  const inspection_task backup = backup_task{file};
  ends_at_once(summary("include=latency"));
  ends_at_once(verification);
  ends_at_once(backup);
  auto whole = answered(reader, backup);
  REQUIRE(whole.file);
  CHECK(::lseek(whole.file->get(), 0, SEEK_END) > 100'000);
  // Put in place by whatever means it is another database: it lacks what came after it.
  std::filesystem::copy_file("/proc/self/fd/" + std::to_string(whole.file->get()),
                             dir.path("back.db"));
  auto put_back = make_sqlite_store({.file = dir.path("back.db"), .busy_timeout = 2s});
  REQUIRE(put_back->open().why() == "");
  CHECK(put_back->database_id().size() >= 16);
  CHECK(put_back->database_id() != store->database_id());
  CHECK(put_back->close().why() == "");
  CHECK(ask(reader, summary()).error == error_code::none);
}
