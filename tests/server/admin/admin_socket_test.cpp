// The admin socket over a real one in a directory of its own: where lines begin and end, who has a
// place, and whose file it is. What lines mean is admin_test's business.

#include "config/defaults.hpp"
#include "server/admin/admin_socket.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/raw_admin.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

#include <sys/stat.h>

#include <deque>
#include <fcntl.h>
#include <memory>
#include <mutex>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// Keeps what comes until the test answers it.
class held_requests {
public:
  std::function<void(admin_request_ptr)> handler() {
    return [this](admin_request_ptr request) {
      std::lock_guard lock{mutex_};
      requests_.push_back(std::move(request));
      ++came_;
    };
  }
  /// The next one; null: none came in time.
  admin_request_ptr next(std::chrono::milliseconds limit = 5s) {
    admin_request_ptr out;
    eventually(
      [&] {
        std::lock_guard lock{mutex_};
        if (requests_.empty())
          return false;
        out = std::move(requests_.front());
        requests_.pop_front();
        return true;
      },
      limit);
    return out;
  }
  size_t came() {
    std::lock_guard lock{mutex_};
    return came_;
  }

private:
  std::mutex mutex_;
  std::deque<admin_request_ptr> requests_;
  size_t came_ = 0;
};

void answer(const admin_request_ptr& request, const std::string& text) {
  std::exchange(request->answer, {})(text);
}

struct socket_fixture {
  socket_fixture() { REQUIRE(socket.open(held.handler()).why() == ""); }

  temp_dir dir;
  std::string path = dir.path("admin.sock");
  held_requests held;
  admin_socket socket{path, ""};
};

constexpr const char* lost = "the request was lost with the actor that had it; try again";

} // namespace

TEST_CASE("admin socket: a line is what ends with a line feed, however it is cut") {
  socket_fixture at;
  raw_admin client{at.path};
  REQUIRE(client.connected());
  client.send("on");
  CHECK_FALSE(at.held.next(50ms));
  client.send("e\n\ntwo\r\n");
  for (const std::string line : {"one", "", "two\r"}) {
    auto request = at.held.next();
    REQUIRE(request);
    CHECK(request->line == line);
    CHECK_FALSE(at.held.next(20ms)); // one after the other
    answer(request, "to " + line);
    CHECK(client.line() == "to " + line + "\n");
  }
}

TEST_CASE(
  "admin socket: a line may be as long as the bound with its end, and a byte more may not") {
  socket_fixture at;
  raw_admin client{at.path};
  std::string longest(admin_wire::max_line_bytes - 1, 'x');
  CHECK(client.send(longest + "\n"));
  auto request = at.held.next();
  REQUIRE(request);
  CHECK(request->line == longest);
  answer(request, "well");
  CHECK(client.line() == "well\n");
  CHECK(client.send(longest + "x\nmore\n"));
  CHECK(
    client.line()
    == R"({"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"a request may have up to)"
       " 1048576 bytes with its newline; the connection is closed\"}}\n");
  CHECK(client.ended());
  CHECK(at.held.came() == 1);
  raw_admin other{at.path};
  other.send("x\n");
  CHECK(at.held.next());
}

TEST_CASE(
  "admin socket: a request that nobody answered is said to be lost, and the next one works") {
  socket_fixture at;
  raw_admin client{at.path};
  client.send("one\n");
  at.held.next().reset();
  auto said = client.line();
  CHECK(said.find(lost) != said.npos);
  CHECK(said.find("-32001") != said.npos);
  client.send("two\n");
  auto request = at.held.next();
  REQUIRE(request);
  answer(request, "2");
  CHECK(client.line() == "2\n");
  request.reset(); // answered already: no second answer
  CHECK_FALSE(client.ended(50ms));
  CHECK(client.unread() == 0);
}

TEST_CASE("admin socket: without an actor requests are lost, and the next actor gets the next") {
  socket_fixture at;
  raw_admin client{at.path};
  at.socket.release_handles();
  client.send("one\n");
  CHECK(client.line().find(lost) != std::string::npos);
  CHECK(at.held.came() == 0);
  held_requests next;
  CHECK(at.socket.open(next.handler()).why() == "");
  client.send("two\n");
  auto request = next.next();
  REQUIRE(request);
  CHECK(request->line == "two");
  CHECK(at.held.came() == 0);
}

TEST_CASE("admin socket: the actor learns that its asker has gone, and only of that one") {
  socket_fixture at;
  auto client = std::make_unique<raw_admin>(at.path);
  raw_admin other{at.path};
  client->send("one\n");
  auto request = at.held.next();
  other.send("two\n");
  auto stays = at.held.next();
  REQUIRE(request);
  REQUIRE(stays);
  CHECK_FALSE(*request->asker_gone);
  client.reset();
  CHECK(eventually([&] { return request->asker_gone->load(); }, 5s));
  answer(request, "nobody hears it");
  CHECK_FALSE(*stays->asker_gone);
  answer(stays, "2");
  CHECK(other.line() == "2\n");
}

TEST_CASE("admin socket: a file goes along with the answer") {
  socket_fixture at;
  write_text(at.dir.path("copy"), "the copy");
  raw_admin client{at.path};
  client.send("backup\n");
  auto request = at.held.next();
  REQUIRE(request);
  request->file =
    std::make_shared<owned_fd>(::open(at.dir.path("copy").c_str(), O_RDONLY | O_CLOEXEC));
  answer(request, "here");
  request.reset();
  auto [line, fd] = client.line_with_file();
  CHECK(line == "here\n");
  REQUIRE(fd >= 0);
  char text[16] = {};
  CHECK(::read(fd, text, sizeof text) == 8);
  CHECK(std::string{text} == "the copy");
  ::close(fd);
}

TEST_CASE(
  "admin socket: when all places are taken, who is silent longest goes, never who waits for "
  "an answer") {
  recorded_log log;
  socket_fixture at;
  std::vector<std::unique_ptr<raw_admin>> clients;
  std::vector<admin_request_ptr> requests;
  auto come = [&](bool asks) {
    clients.push_back(std::make_unique<raw_admin>(at.path));
    clients.back()->send("x\n"); // it has come in when its line has
    requests.push_back(at.held.next());
    REQUIRE(requests.back());
    if (asks)
      return;
    answer(requests.back(), "y");
    CHECK(clients.back()->line() == "y\n");
  };
  come(true);
  come(false);
  come(false);
  while (clients.size() < defaults::admin_max_connections)
    come(true);
  CHECK_FALSE(clients[1]->hung_up());
  come(true);
  CHECK(clients[1]->ended());
  CHECK_FALSE(clients[2]->hung_up());
  come(true);
  CHECK(clients[2]->ended());
  CHECK_FALSE(clients[0]->hung_up());
  CHECK_FALSE(log.contains("turns connections away"));
  raw_admin one_more{at.path}; // all others are worked for
  CHECK(one_more.ended());
  CHECK(log.contains("turns connections away"));
  answer(requests[0], "at last");
  CHECK(clients[0]->line() == "at last\n");
}

TEST_CASE("admin socket: its file is for us and a group, and goes with it") {
  temp_dir dir;
  auto path = dir.path("admin.sock");
  {
    held_requests held;
    admin_socket first{path, ""};
    REQUIRE(first.open(held.handler()).why() == "");
    struct stat about {};
    REQUIRE(::stat(path.c_str(), &about) == 0);
    CHECK((about.st_mode & 07777) == 0660);
    admin_socket second{path, ""};
    CHECK(second.open(held.handler()).why()
          == "cannot listen on " + path + ": another process answers there");
    raw_admin client{path};
    client.send("x\n");
    CHECK(held.next()); // the first is as it was
  }
  CHECK_FALSE(std::filesystem::exists(path));
  held_requests held;
  auto opened = std::make_unique<admin_socket>(path, "");
  REQUIRE(opened->open(held.handler()).why() == "");
  std::filesystem::remove(path);
  write_text(path, "somebody else's");
  opened.reset();
  CHECK(text_in(path) == "somebody else's");
}

TEST_CASE("admin socket: a dead one is replaced, what is no socket is left alone") {
  temp_dir dir;
  auto path = dir.path("admin.sock");
  held_requests held;
  { // bound, and nobody listens
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
    int dead = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(dead, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    ::close(dead);
  }
  {
    admin_socket socket{path, ""};
    CHECK(socket.open(held.handler()).why() == "");
    raw_admin client{path};
    client.send("x\n");
    CHECK(held.next());
  }
  write_text(path, "notes");
  admin_socket socket{path, ""};
  CHECK(socket.open(held.handler()).why()
        == "cannot listen on " + path
             + ": something that is no socket is there; choose another path with admin.socket");
  CHECK(text_in(path) == "notes");
  admin_socket nowhere{dir.path("not/there"), ""};
  CHECK(nowhere.open(held.handler()).why()
        == "cannot listen on " + dir.path("not/there")
             + ": No such file or directory; choose another path with admin.socket");
  admin_socket grouped{dir.path("other.sock"), "no-such-group"};
  CHECK(grouped.open(held.handler()).why()
        == "admin.group = \"no-such-group\": there is no such group");
  CHECK_FALSE(std::filesystem::exists(dir.path("other.sock")));
}
