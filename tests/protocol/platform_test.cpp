// The operating system as all floors see it: what the callers rely on.

#include "protocol/platform/addresses.hpp"
#include "protocol/platform/child_process.hpp"
#include "protocol/platform/files.hpp"
#include "protocol/platform/process.hpp"
#include "protocol/platform/sockets.hpp"
#include "protocol/platform/users.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

struct directory : temp_dir {
  std::string file(const std::string& name, const std::string& text) const {
    write_text(path(name), text);
    return path(name);
  }
};

/// The two ends of a connection.
std::array<owned_fd, 2> connection() {
  int ends[2] = {-1, -1};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  return {owned_fd{ends[0]}, owned_fd{ends[1]}};
}

} // namespace

TEST_CASE("platform: a descriptor is ready for what is there, and only looks without a limit") {
  auto [ours, theirs] = connection();
  CHECK_FALSE(wait_until_ready(ours.get(), interest::input, 0ms));
  CHECK(wait_until_ready(ours.get(), interest::input_or_output, 0ms).output);
  REQUIRE(send_now(theirs.get(), "x") == 1);
  auto ready = wait_until_ready(ours.get(), interest::input, 10s);
  CHECK(ready.input);
  CHECK_FALSE(ready.ended);
  CHECK_FALSE(ready.broken);
}

TEST_CASE("platform: the other end has ended its side, or both") {
  auto [ours, theirs] = connection();
  CHECK_FALSE(wait_until_ready(ours.get(), interest::end, 0ms));
  ::shutdown(theirs.get(), SHUT_WR);
  auto half = wait_until_ready(ours.get(), interest::end, 10s);
  CHECK(half.ended);
  CHECK_FALSE(half.broken);
  theirs.reset();
  CHECK(wait_until_ready(ours.get(), interest::end, 10s).broken);
}

TEST_CASE("platform: a signal does not end a wait, nor make it longer") {
  auto [ours, theirs] = connection();
  auto before = ::signal(SIGALRM, [](int) {});
  itimerval every{{0, 20'000}, {0, 20'000}};
  ::setitimer(ITIMER_REAL, &every, nullptr);
  auto began = clock::now();
  CHECK_FALSE(wait_until_ready(ours.get(), interest::input, 150ms));
  auto took = clock::now() - began;
  itimerval never{};
  ::setitimer(ITIMER_REAL, &never, nullptr);
  ::signal(SIGALRM, before);
  CHECK(took >= 150ms);
  CHECK(took < 5s);
}

TEST_CASE("platform: what is made is new, and no link leads elsewhere") {
  directory dir;
  fs::create_symlink(dir.path("elsewhere"), dir.path("link"));
  CHECK_FALSE(open_file(dir.path("link"), open_mode::make));
  CHECK_FALSE(open_file(dir.path("link"), open_mode::to_lock_nofollow));
  CHECK(errno == ELOOP);
  CHECK_FALSE(fs::exists(dir.path("elsewhere")));
  auto file = dir.file("file", "old");
  CHECK_FALSE(open_file(file, open_mode::make));
  CHECK(errno == EEXIST);
  CHECK(text_in(file) == "old");
  CHECK(open_file(dir.path("new"), open_mode::make));
  CHECK(fs::status(dir.path("new")).permissions()
        == (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("platform: what a file holds stays or goes as it is opened") {
  directory dir;
  auto file = dir.file("file", "old text");
  CHECK_FALSE(open_file(dir.path("none"), open_mode::write));
  {
    auto same = open_file(file, open_mode::write_or_make);
    REQUIRE(write_bytes_at(same.get(), "new", 0));
    CHECK(text_in(file) == "new text");
    REQUIRE(write_bytes_at(same.get(), "!", 8));
    REQUIRE(cut_file(same.get(), 5));
    CHECK(text_in(file) == "new t");
  }
  CHECK(open_file(file, open_mode::write_anew));
  CHECK(text_in(file).empty());
}

TEST_CASE("platform: nothing is moved or named over what is there") {
  directory dir;
  auto one = dir.file("one", "1");
  auto two = dir.file("two", "2");
  CHECK_FALSE(move_file(one, two));
  CHECK(errno == EEXIST);
  CHECK_FALSE(link_file(one, two));
  if (auto fresh = open_unnamed(dir.path())) { // not every file system can
    REQUIRE(write_bytes(fresh.get(), "3"));
    CHECK_FALSE(name_file(fresh.get(), two));
    CHECK(text_in(two) == "2");
    CHECK(name_file(fresh.get(), dir.path("three")));
    CHECK(text_in(dir.path("three")) == "3");
  }
  CHECK(move_file(one, dir.path("four")));
  CHECK(replace_file(dir.path("four"), two));
  CHECK(text_in(two) == "1");
}

TEST_CASE("platform: facts tell one file from another whatever it is called") {
  directory dir;
  auto file = dir.file("file", "12345");
  fs::create_hard_link(file, dir.path("same"));
  fs::create_symlink(file, dir.path("link"));
  auto facts = facts_at(file);
  REQUIRE(facts);
  CHECK(facts->kind == file_facts::type::file);
  CHECK(facts->size == 5);
  CHECK(facts->owner == acting_user());
  CHECK(facts_at(dir.path("same"))->number == facts->number);
  CHECK(facts_at(dir.path("link"))->number == facts->number);
  CHECK(facts_of_link(dir.path("link"))->number != facts->number);
  CHECK(facts_at(dir.path())->kind == file_facts::type::directory);
  CHECK(facts_of_open(open_file(file, open_mode::read).get())->number == facts->number);
  CHECK_FALSE(facts_at(dir.path("none")));
  CHECK(errno == ENOENT);
}

TEST_CASE("platform: a way without links leads only through directories themselves") {
  directory dir;
  fs::create_directories(dir.path("real/inner"));
  fs::create_directory_symlink(dir.path("real"), dir.path("link"));
  auto inner = open_directory_without_links(dir.path("real/inner"));
  REQUIRE(inner);
  dir.file("real/inner/file", "x");
  fs::create_symlink("file", dir.path("real/inner/alias"));
  CHECK(open_unknown_in(inner.get(), "file"));
  CHECK_FALSE(open_unknown_in(inner.get(), "alias"));
  CHECK_FALSE(open_directory_without_links(dir.path("link/inner")));
}

TEST_CASE("platform: a lock is one process's, and shown without being taken") {
  directory dir;
  auto file = dir.path("lock");
  auto ours = open_file(file, open_mode::to_lock);
  auto other = open_file(file, open_mode::to_lock);
  REQUIRE(take_lock(ours.get()));
  CHECK_FALSE(take_lock(other.get()));
  CHECK_FALSE(is_lock_shown(other.get()));
  show_lock(ours.get());
  CHECK(is_lock_shown(other.get()));
  ours.reset();
  CHECK_FALSE(is_lock_shown(other.get()));
  CHECK(take_lock(other.get()));
}

TEST_CASE("platform: an open file goes along with a byte") {
  directory dir;
  auto [ours, theirs] = connection();
  auto sent = open_file(dir.file("file", "content"), open_mode::read);
  REQUIRE(send_with_file(ours.get(), '{', sent.get()));
  char byte = 0;
  owned_fd received;
  REQUIRE(receive_with_file(theirs.get(), &byte, 1, received) == 1);
  CHECK(byte == '{');
  REQUIRE(received);
  CHECK(received.get() != sent.get());
  char text[16] = {};
  REQUIRE(rewind_file(received.get()));
  CHECK(is_at_beginning(received.get()));
  CHECK(read_some(received.get(), text, sizeof text) == 7);
  CHECK(std::string{text} == "content");
  CHECK_FALSE(is_at_beginning(received.get()));
}

TEST_CASE("platform: a local socket has its place, and says who is at the other end") {
  directory dir;
  auto listener = listen_at(dir.path("socket"));
  CHECK(facts_of_link(dir.path("socket"))->kind == file_facts::type::socket);
  auto client = connect_to(dir.path("socket"));
  REQUIRE(client);
  auto peer = peer_of(client.get());
  REQUIRE(peer);
  CHECK(peer->user == acting_user());
  CHECK(is_peer_in_group(client.get(), *peer, peer->group));
  CHECK(give_to_group(dir.path("socket"), peer->group));
  CHECK_FALSE(connect_to(dir.path("none")));
  CHECK(errno == ENOENT);
  CHECK_FALSE(can_be_socket(std::string(200, 'x')));
  CHECK_FALSE(connect_to(std::string(200, 'x')));
}

TEST_CASE("platform: an address has one spelling, and this machine's are known") {
  for (const auto* text : {"127.0.0.1", "10.1.2.3", "::1", "2001:db8::1"})
    CHECK(text_of_address(bytes_of_address(text)) == text);
  CHECK(text_of_address(bytes_of_address("2001:0DB8:0::1")) == "2001:db8::1");
  CHECK(bytes_of_address("localhost").empty());
  CHECK(bytes_of_address("10.1.2").empty());
  CHECK(is_loopback_address("127.5.6.7"));
  CHECK(is_loopback_address("::1"));
  CHECK(is_loopback_address("::ffff:127.0.0.1"));
  CHECK_FALSE(is_loopback_address("0.0.0.0"));
  CHECK_FALSE(is_loopback_address("127.0.0.1.example.org"));
  CHECK(read_addresses("::1").list == std::vector<std::string>{"::1"});
  CHECK(read_addresses("localhost").list.empty());
}

TEST_CASE("platform: a program says how it ended and what it printed") {
  CHECK(run_program({"true"}) == 0);
  CHECK(run_program({"phi-there-is-no-such-program"}) == not_installed);
  CHECK(run_program({"sh", "-c", "kill -9 $$"}) == 128 + SIGKILL);
  auto both = capture_program({"sh", "-c", "echo out; echo error >&2; exit 3"}, true);
  CHECK(both.status == 3);
  CHECK(both.out == "out\nerror");
  CHECK(capture_program({"sh", "-c", "echo out; echo error >&2"}, false).out == "out");
}

TEST_CASE("platform: a process is known by its start as well as by its number") {
  CHECK_FALSE(process_is_gone(process_id()));
  auto own = facts_of_process(process_id());
  CHECK(own.state == 'R');
  CHECK_FALSE(own.started.empty());
  CHECK(facts_of_process(1).started != own.started);
  constexpr int64_t beyond_all = int64_t{1} << 30; // proc(5): pid_max is 2^22 at most
  CHECK(process_is_gone(beyond_all));
  CHECK(facts_of_process(beyond_all).started.empty());
}

TEST_CASE("this process: what it takes of the machine") {
  auto before = usage_of_process();
  CHECK(before.resident_bytes > 1'000'000);
  CHECK(before.virtual_bytes > before.resident_bytes);
  CHECK(before.threads >= 1);
  CHECK(before.most_open_files >= before.open_files);
  auto ends = connection();
  CHECK(usage_of_process().open_files == before.open_files + 2);
  while (usage_of_process().processor == before.processor)
    ;
  CHECK(usage_of_process().processor > before.processor);
}
