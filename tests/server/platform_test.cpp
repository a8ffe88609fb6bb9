#include "actors/exit_report.hpp"
#include "protocol/text/closest.hpp"
#include "protocol/text/json_depth.hpp"
#include "server/platform/digest.hpp"
#include "server/platform/posix/acceptor.hpp"
#include "server/platform/posix/listener.hpp"
#include "server/platform/posix/open_files.hpp"
#include "server/process/state_directory.hpp"
#include "server/statistics/time_zones.hpp"
#include "tests/support/doctest.hpp"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <set>
#include <sys/resource.h>
#include <sys/socket.h>

using namespace phi;

namespace {

constexpr int64_t hour_us = 3'600'000'000;

int32_t day(int year, unsigned month, unsigned d) {
  using namespace std::chrono;
  return sys_days{
    year_month_day{std::chrono::year{year}, std::chrono::month{month}, std::chrono::day{d}}}
    .time_since_epoch()
    .count();
}

int64_t hours_of(const char* zone, int32_t which) {
  auto range = day_in_zone(zone, which);
  return (range.end_us - range.begin_us) / hour_us;
}

} // namespace

TEST_CASE("days have the length that the clocks showed") {
  CHECK(hours_of("Europe/Berlin", day(2025, 3, 30)) == 23);
  CHECK(hours_of("Europe/Berlin", day(2025, 10, 26)) == 25);
  CHECK(hours_of("America/New_York", day(2025, 3, 9)) == 23);
  CHECK(hours_of("UTC", day(2025, 3, 30)) == 24);
  CHECK(hours_of("Asia/Kathmandu", day(2025, 6, 1)) == 24);
  // Midnight itself was skipped: the day begins after the gap.
  CHECK(hours_of("America/Sao_Paulo", day(2018, 11, 4)) == 23);
  // Samoa had no 30 December 2011 at all.
  CHECK(hours_of("Pacific/Apia", day(2011, 12, 30)) == 0);
  CHECK(day_in_zone("Asia/Kathmandu", 0).begin_us == -(5 * hour_us + hour_us / 2));
  auto lord_howe = day_in_zone("Australia/Lord_Howe", day(2025, 10, 5));
  CHECK(lord_howe.end_us - lord_howe.begin_us == 23 * hour_us + hour_us / 2);
}

TEST_CASE("each day ends where the next begins, all year, in every kind of zone") {
  for (auto zone : {"Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo",
                    "Pacific/Chatham"})
    for (int32_t d = day(2024, 12, 31); d < day(2026, 1, 2); ++d) {
      auto today = day_in_zone(zone, d);
      REQUIRE(today.end_us == day_in_zone(zone, d + 1).begin_us);
      REQUIRE(today.begin_us % 900'000'000 == 0); // what the 15-minute slots rely on
    }
}

TEST_CASE("unknown zones are found out, with the closest name") {
  CHECK(is_time_zone("Europe/Berlin"));
  CHECK_FALSE(is_time_zone("Europe/Berln"));
  CHECK_FALSE(is_time_zone(""));
  CHECK_FALSE(is_time_zone("../../etc/passwd"));
  CHECK(closest_time_zone("Europe/Berln") == "Europe/Berlin");
  CHECK(closest_time_zone("xqzwv").empty());
}

TEST_CASE("keyed hashes are those of HMAC-SHA256") {
  // RFC 4231, test case 2, first 16 bytes
  keyed_hash hash{"Jefe"};
  CHECK(hash.of("what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c7");
  CHECK(hash.of("what do ya want for nothing?")
        == "5bdcc146bf60754e6a042426089575c7"); // the key stays
  CHECK(keyed_hash{""}.of("x").empty());
}

TEST_CASE("UUIDv7: version, variant, sorted by time, never twice") {
  uuid7_source source;
  std::set<digest> seen;
  digest last{};
  for (int i = 0; i < 20'000; ++i) {
    auto now = source.next(1'767'323'045'000'000 + i * 1000);
    CHECK_MESSAGE((now[6] >> 4) == 7, "version");
    CHECK_MESSAGE((now[8] >> 6) == 2, "variant");
    REQUIRE(seen.insert(now).second);
    REQUIRE(last < now);
    last = now;
  }
  for (int i = 0; i < 20'000; ++i)
    REQUIRE(seen.insert(source.next(1'767'323'045'000'000)).second);
}

TEST_CASE("identities spread in a table, with and without ids of the sender") {
  uuid7_source source;
  identity_digest digests;
  std::set<size_t> of_uuids;
  std::set<size_t> of_ids;
  for (int i = 0; i < 10'000; ++i) {
    of_uuids.insert(digest_hash{}(source.next(1'767'323'045'000'000 + i)));
    of_ids.insert(digest_hash{}(digests.of("source", std::to_string(i))));
  }
  CHECK(of_uuids.size() > 9'990);
  CHECK(of_ids.size() > 9'990);
}

TEST_CASE("tokens compare equal only when they are") {
  CHECK(same_token("abc", "abc"));
  CHECK_FALSE(same_token("abc", "abd"));
  CHECK_FALSE(same_token("", "abc"));
  CHECK_FALSE(same_token("abcd", "abc"));
}

TEST_CASE("the listener says why it cannot listen") {
  auto first = open_listener("127.0.0.1", 0);
  REQUIRE(first.error.empty());
  CHECK(address_of(first.fd.get()).port != 0);
  CHECK(open_listener("127.0.0.1", address_of(first.fd.get()).port)
          .error.find("another program uses the port")
        != std::string::npos);
  CHECK(open_listener("203.0.113.77", 0).error.find("server.host") != std::string::npos);
  CHECK(open_listener("no such host", 0).error.find("server.host") != std::string::npos);
}

TEST_CASE("the state directory: one owner, a report, and the notice of a crash") {
  char name[] = "/tmp/phi-state-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  std::string path = std::string{name} + "/deeper";
  {
    state_directory first{path};
    CHECK(first.trouble().empty());
    CHECK(first.crash_notice().empty());
    CHECK(state_directory{path}.trouble().find("another phi-backend") != std::string::npos);
    first.begin_run();
  } // ended without a report
  {
    state_directory second{path};
    CHECK(second.crash_notice().find("ended without a report") != std::string::npos);
    second.begin_run();
    CHECK(second.end_run(exit_report{}).empty());
  }
  CHECK(state_directory{path}.crash_notice().empty());
  std::filesystem::remove_all(name);
}

TEST_CASE(
  "listener: once it refuses new clients, who waits is taken and who comes is told at once") {
  for (const auto* host : {"127.0.0.1", "::1", "0.0.0.0"}) {
    CAPTURE(host);
    auto opened = open_listener(host, 0);
    if (!opened.error.empty() && std::string_view{host} == "::1")
      continue; // a machine without IPv6
    REQUIRE(opened.error.empty());
    sockaddr_storage at{};
    socklen_t size = sizeof at;
    ::getsockname(opened.fd.get(), reinterpret_cast<sockaddr*>(&at), &size);
    auto connects = [&] {
      owned_fd client{::socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
      bool made = ::connect(client.get(), reinterpret_cast<sockaddr*>(&at), size) == 0;
      return std::pair{std::move(client), made ? 0 : errno};
    };
    auto [waiting, no_error] = connects();
    CHECK(no_error == 0);
    refuse_new_connections(opened.fd.get());
    refuse_new_connections(opened.fd.get()); // of another event loop
    CHECK(connects().second == ECONNREFUSED);
    owned_fd taken{::accept(opened.fd.get(), nullptr, nullptr)};
    REQUIRE(taken);
    CHECK(::send(waiting.get(), "a", 1, 0) == 1);
    char c = 0;
    CHECK(::recv(taken.get(), &c, 1, 0) == 1);
  }
}

namespace {

/// Below what is open: nothing more can be opened.
class no_descriptors {
public:
  no_descriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit none{3, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~no_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  no_descriptors(const no_descriptors&) = delete;

private:
  rlimit before_{};
};

} // namespace

TEST_CASE("acceptor: a shortage ends also when the last that failed was one connection's") {
  // A datagram socket: what can be opened is refused as one connection's failure (EOPNOTSUPP).
  owned_fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  socklen_t size = sizeof at;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&at), &size);
  owned_fd knocks{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ::sendto(knocks.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&at), size);
  asio::io_context io{1};
  acceptor door{io, {.name = "door", .has_room = [] { return true; }, .take = [](auto) {}}};
  door.open(std::move(socket));
  auto run_until = [&](std::chrono::milliseconds limit, auto done) {
    auto end = clock::now() + limit;
    while (!done() && clock::now() < end)
      io.run_one_for(std::chrono::milliseconds{20});
    return done();
  };
  {
    no_descriptors here;
    REQUIRE(run_until(std::chrono::seconds{2}, [&] { return door.counts().shortage == EMFILE; }));
  }
  auto failed = door.counts().failed.load();
  CHECK(run_until(std::chrono::seconds{2}, [&] { return door.counts().failed > failed; }));
  char drop = 0;
  ::recv(door.native_handle(), &drop, 1, 0); // it is quiet now
  CHECK(run_until(std::chrono::seconds{5}, [&] { return door.counts().shortage == 0; }));
}

TEST_CASE("open files: connections fit in the limit, with room for the rest") {
  CHECK(connections_within(4096, 4160) == 4096);
  CHECK(connections_within(4096, 4159) == 4095);
  CHECK(connections_within(4096, 1024) == 960);
  CHECK(connections_within(4096, 10) == 1);
  CHECK(connections_within(1, 1'000'000) == 1);
  CHECK(open_files_for(4096) == 4160);
}

TEST_CASE("suggestions: near names only, and the work is bounded") {
  const std::vector<std::string> known{"feature", "durationMs", "status"};
  CHECK(closest("featur", known) == "feature");
  CHECK(closest("durationms", known) == "durationMs");
  CHECK(closest("statuses", known) == "status");
  CHECK(closest("xyz", known).empty());
  CHECK(closest(std::string(65, 's'), known).empty());
  CHECK(closest("", std::vector<std::string>{"GB", "UTC"}).empty());
  auto began = std::chrono::steady_clock::now();
  CHECK(closest(std::string(8 << 20, 's'), std::vector<std::string>(600, std::string(40, 's')))
          .empty());
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::milliseconds{200});
}

TEST_CASE("JSON depth: brackets count, what stands in strings does not") {
  CHECK_FALSE(nests_deeper("[[[]]]", 3));
  CHECK(nests_deeper("[[[[", 3));
  CHECK(nests_deeper(R"({"a":[{"b":[]}]})", 3));
  CHECK_FALSE(nests_deeper(R"(["[[[[\"[[[[", "{{{{"])", 3));
  CHECK_FALSE(nests_deeper("[][][][][]", 3));
  CHECK_FALSE(nests_deeper("]]]]", 3));
}

TEST_CASE("the state directory: room for the report is reserved, and a run that was given up has a "
          "cause") {
  char name[] = "/tmp/phi-state-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  std::string path = name;
  std::string id;
  {
    state_directory first{path};
    id = first.run_id();
    CHECK(id.size() == 16);
    first.begin_run();
    CHECK(std::filesystem::file_size(path + "/last-exit.json.new") == 32 * 1024);
    first.note_stuck("store");
  }
  {
    state_directory second{path};
    CHECK(second.run_id() != id);
    CHECK(second.crash_notice().find("the watchdog had given it up because of store")
          != std::string::npos);
    second.begin_run();
    CHECK(second.end_run_within(exit_report{}, std::chrono::seconds{5}).empty());
    CHECK_FALSE(std::filesystem::exists(path + "/last-exit.json.new"));
    CHECK_FALSE(std::filesystem::exists(path + "/running.json"));
    CHECK(std::filesystem::file_size(path + "/last-exit.json") < 4096); // not the reserve
  }
  std::filesystem::remove_all(name);
}
