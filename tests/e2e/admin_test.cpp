// The admin socket under bad input, early and late.

#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/raw_admin.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::json;

namespace {

const std::string ask_status = R"({"jsonrpc":"2.0","id":1,"method":"status"})"
                               "\n";

} // namespace

TEST_CASE("admin socket: broken requests are answered, the next one works") {
  temp_dir dir;
  service_process service{dir.path()};
  raw_admin line{dir.path("admin.sock")};
  REQUIRE(line.connected());
  auto error_of = [&](const std::string& request) -> json {
    line.send(request + "\n");
    return json::parse(line.line())["error"];
  };
  auto code_of = [&](const std::string& request) -> int { return error_of(request)["code"]; };
  CHECK(code_of("{") == -32700);
  CHECK(code_of("\xff\xfe") == -32700);
  CHECK(code_of("[]") == -32600);
  CHECK(code_of(R"({"jsonrpc":"1.0","method":"status"})") == -32600);
  CHECK(code_of(R"({"jsonrpc":"2.0","id":1,"method":7})") == -32600);
  CHECK(code_of(R"({"jsonrpc":"2.0","id":1,"method":"statsu"})") == -32601);
  CHECK(code_of(R"({"jsonrpc":"2.0","id":1,"method":"stop","params":[1]})") == -32602);
  CHECK(code_of(R"({"jsonrpc":"2.0","id":1,"method":"stop","params":{"mode":"softly"}})")
        == -32602);
  CHECK(code_of(R"({"jsonrpc":"2.0","id":1,"method":"stop","params":{"mode":7}})") == -32602);
  CHECK(code_of(R"({"jsonrpc":"2.0","id":1,"method":"log-level","params":{"level":"x"}})")
        == -32602);
  CHECK(code_of(R"({"jsonrpc":"2.0","id":1,"method":"trace-on","params":{"actors":[1]}})")
        == -32602);
  CHECK(code_of(R"({"jsonrpc":"2.0","id":1,"method":"trace-read","params":{"from":"x"}})")
        == -32602);
  // However deep it nests, in whatever part: refused, where a library would run out of stack.
  for (const std::string open : {"[", "{\"a\":"}) {
    std::string deep;
    for (int i = 0; i < 100'000; ++i)
      deep += open;
    for (const std::string& before :
         {std::string{}, std::string{R"({"jsonrpc":"2.0","method":"status","id":)"},
          std::string{R"({"jsonrpc":"2.0","method":"status","params":{"a":)"}}) {
      auto error = error_of(before + deep);
      CHECK(error["code"] == -32700);
      CHECK(error["message"].get<std::string>().starts_with("the line nests deeper than "));
    }
  }
  line.send(R"({"jsonrpc":"2.0","method":"status","id":"[[[[[[\"{{{{"})" + std::string{"\n"});
  CHECK(json::parse(line.line())["result"]["state"] == "ready");
  line.send(ask_status);
  CHECK(json::parse(line.line())["result"]["state"] == "ready");
  CHECK(service.stop().code == 0);
}

TEST_CASE("admin socket: numbers and wishes that cannot be meant are refused by their name") {
  temp_dir dir;
  service_process service{dir.path()};
  raw_admin line{dir.path("admin.sock")};
  auto said_of = [&](const std::string& method, const std::string& params) -> std::string {
    line.send(R"({"jsonrpc":"2.0","id":1,"method":")" + method + R"(","params":)" + params + "}\n");
    auto answer = json::parse(line.line());
    if (!answer.contains("error"))
      return "taken";
    CHECK(answer["error"]["code"] == -32602);
    return answer["error"]["message"];
  };
  struct field {
    const char* method;
    const char* name;
    const char* bounds;
  };
  for (auto [method, name, bounds] :
       {field{"events", "limit", "from 1 to 1000"},
        field{"events", "after", "from 0 to 9223372036854775807"},
        field{"trace-read", "from", "from 0 to 9223372036854775807"},
        field{"token-create", "expiresInSeconds", "from 1 to 3153600000"}})
    for (const std::string value :
         {"-1", "1.5", "1e30", "-1e30", "9223372036854775808", "18446744073709551615",
          "99999999999999999999999", "\"1\"", "null", "true", "[1]", "{}"}) {
      CAPTURE(name);
      CAPTURE(value);
      auto said = said_of(method, "{\"" + std::string{name} + "\":" + value + "}");
      CHECK_MESSAGE(
        said.starts_with(std::string{name} + " must be a whole number " + bounds + ", not "), said);
    }
  CHECK(said_of("events", R"({"limit":0})")
        == "limit must be a whole number from 1 to 1000, not 0");
  CHECK(said_of("events", R"({"limit":1001})")
        == "limit must be a whole number from 1 to 1000, not 1001");
  for (const auto* good : {"1", "1000", "5.0", "1e2"})
    CHECK(said_of("events", R"({"limit":)" + std::string{good} + "}") == "taken");
  CHECK(said_of("events", R"({"after":9223372036854775807})") == "taken");
  CHECK(said_of("events", R"({"overGaps":1})") == "overGaps must be true or false, not 1");
  CHECK(said_of("spool-fsck", R"({"forgetMissing":"no"})")
        == "forgetMissing must be true or false, not \"no\"");
  CHECK(said_of("events", R"({"feature":7})") == "feature must be a text, not 7");
  CHECK(said_of("token-create", R"({"name":"n","scopes":"read"})")
        == "scopes must be a list of texts, not \"read\"");
  CHECK(service.stop().code == 0);
}

TEST_CASE("admin socket: what is no socket is left alone") {
  temp_dir dir;
  auto path = dir.path("precious");
  std::ofstream{path} << "data";
  std::filesystem::create_symlink(path, dir.path("link"));
  std::filesystem::create_directory(dir.path("folder"));
  for (const auto* name : {"precious", "link", "folder"}) {
    CAPTURE(name);
    service_process service{dir.path(), {{"APP_ADMIN_SOCKET", dir.path(name)}}, false};
    CHECK(service.wait().code == 1);
    CHECK(service.logged("something that is no socket is there"));
  }
  CHECK(read_file(path) == "data");
  CHECK(std::filesystem::is_symlink(dir.path("link")));
}

TEST_CASE("admin socket: clients that hang up before their answer leave no session behind") {
  temp_dir dir;
  service_process service{dir.path()};
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 20; ++i) {
      raw_admin line{dir.path("admin.sock")};
      REQUIRE(line.connected());
      line.send(ask_status);
    }
    raw_admin last{dir.path("admin.sock")};
    last.send(ask_status);
    CHECK(json::parse(last.line())["result"]["state"] == "ready");
  }
  CHECK_FALSE(service.logged("turns connections away"));
  CHECK(service.stop().code == 0);
}

TEST_CASE("admin socket: a line that is too long is answered, then its connection ends") {
  temp_dir dir;
  service_process service{dir.path()};
  constexpr size_t longest = 1 << 20; // with its newline
  auto request = [&](size_t size) {
    std::string out = ask_status.substr(0, ask_status.size() - 1);
    return out + std::string(size - 1 - out.size(), ' ') + "\n";
  };
  raw_admin fits{dir.path("admin.sock")};
  CHECK(fits.send(request(longest)));
  CHECK(json::parse(fits.line())["result"]["state"] == "ready");
  // Sent whole, by somebody who reads only then.
  raw_admin whole{dir.path("admin.sock")};
  CHECK(whole.send(request(2 * longest)));
  auto answer = json::parse(whole.line());
  CHECK(answer["error"]["code"] == -32600);
  CHECK(answer["error"]["message"]
        == "a request may have up to 1048576 bytes with its newline; the connection is closed");
  CHECK(whole.ended());
  // Without an end: for a moment it is taken, and no longer.
  raw_admin endless{dir.path("admin.sock")};
  std::string block(65536, 'x');
  auto until = std::chrono::steady_clock::now() + 10s;
  while (endless.send(block) && std::chrono::steady_clock::now() < until)
    continue;
  CHECK(std::chrono::steady_clock::now() < until);
  CHECK(has(endless.line(), "a request may have up to 1048576 bytes"));
  CHECK(ctl(dir, {"health"}).code == 0);
  CHECK(service.stop().code == 0);
}

TEST_CASE("admin socket: a half-open client holds nobody up") {
  temp_dir dir;
  service_process service{dir.path()};
  raw_admin half{dir.path("admin.sock")};
  half.send(R"({"jsonrpc":"2.0",)");
  raw_admin deaf{dir.path("admin.sock")}; // asks and never reads
  for (int i = 0; i < 50; ++i)
    deaf.send(ask_status);
  CHECK(ctl(dir, {"health"}).code == 0);
  auto end = service.stop();
  CHECK(end.code == 0);
  CHECK(end.took < 3s);
}

TEST_CASE("admin socket: 200 idle connections lock nobody out") {
  temp_dir dir;
  service_process service{dir.path()};
  std::vector<std::unique_ptr<raw_admin>> crowd;
  for (int i = 0; i < 200; ++i)
    crowd.push_back(std::make_unique<raw_admin>(dir.path("admin.sock")));
  CHECK(ctl(dir, {"health"}).code == 0);
  CHECK(service.stop().code == 0);
}

namespace {

/// Clients that ask for more than a socket holds, and read nothing.
std::vector<std::unique_ptr<raw_admin>> deaf_crowd(const temp_dir& dir, size_t size) {
  std::string questions;
  for (int i = 0; i < 150; ++i)
    questions += R"({"jsonrpc":"2.0","id":1,"method":"config"})"
                 "\n";
  std::vector<std::unique_ptr<raw_admin>> out;
  for (size_t i = 0; i < size; ++i) {
    out.push_back(std::make_unique<raw_admin>(dir.path("admin.sock")));
    REQUIRE(out.back()->connected());
    out.back()->send(questions);
  }
  return out;
}

/// Waits until nothing has been written to any of them for longer than the second after which one
/// must go for somebody else; however busy the machine is.
bool all_are_stuck(const std::vector<std::unique_ptr<raw_admin>>& crowd) {
  auto sizes = [&] {
    std::vector<int> out;
    for (const auto& one : crowd)
      out.push_back(one->unread());
    return out;
  };
  auto seen = sizes();
  auto since = std::chrono::steady_clock::now();
  return eventually([&] {
    auto now = sizes();
    if (now != seen || std::count(now.begin(), now.end(), 0) > 0) {
      seen = now;
      since = std::chrono::steady_clock::now();
    }
    return std::chrono::steady_clock::now() - since > 2s;
  });
}

} // namespace

TEST_CASE("admin socket: 32 clients that ask and do not read lock nobody out") {
  temp_dir dir;
  service_process service{dir.path()};
  auto crowd = deaf_crowd(dir, 32);
  REQUIRE(all_are_stuck(crowd));
  auto gone = [&] {
    return std::count_if(crowd.begin(), crowd.end(), [](auto& one) { return one->hung_up(); });
  };
  CHECK(gone() == 0); // nobody needed a place
  std::vector<std::unique_ptr<raw_admin>> late;
  for (int i = 1; i <= 3; ++i) {
    late.push_back(std::make_unique<raw_admin>(dir.path("admin.sock")));
    late.back()->send(ask_status);
    CHECK(json::parse(late.back()->line())["result"]["state"] == "ready");
    CHECK(gone() == i);
  }
  CHECK(ctl(dir, {"health"}).code == 0);
  CHECK_FALSE(service.logged("turns connections away"));
  CHECK(service.stop().code == 0);
}

TEST_CASE("admin socket: who does not read its answer is cut after a while") {
  temp_dir dir;
  service_process service{dir.path()};
  auto began = std::chrono::steady_clock::now();
  auto deaf = deaf_crowd(dir, 1);
  CHECK(eventually([&] { return deaf[0]->hung_up(); }));
  CHECK(std::chrono::steady_clock::now() - began >= 10s);
  CHECK(service.stop().code == 0);
}

TEST_CASE("admin socket: it is for root, the service's own user and admin.group") {
  temp_dir dir;
  service_process service{dir.path()};
  struct stat at {};
  REQUIRE(::stat(dir.path("admin.sock").c_str(), &at) == 0);
  CHECK((at.st_mode & 0777) == 0660);
  const auto* nobody = ::getpwnam("nobody");
  if (::geteuid() != 0 || !nobody)
    return; // only root can become somebody else; the mode is checked above
  // A real second user, for whom even the file would be open.
  ::chmod(dir.path("admin.sock").c_str(), 0666);
  ::chmod(dir.path().c_str(), 0755);
  auto denied =
    run_program({"/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                 phictl(), "--socket", dir.path("admin.sock"), "--timeout", "3", "status"});
  CHECK(denied.code != 0);
  CHECK(denied.out == "");
  CHECK(service.wait_for_log("turns connections away"));
  CHECK(ctl(dir, {"health"}).code == 0);
  // A member of admin.group may enter, by a further group as well.
  temp_dir other;
  service_process shared{other.path(), {{"APP_ADMIN_GROUP", "games"}}};
  ::chmod(other.path().c_str(), 0755);
  auto as_nobody = [&](const std::string& groups) {
    return run_program({"/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", groups, phictl(),
                        "--socket", other.path("admin.sock"), "--timeout", "3", "health"})
      .code;
  };
  CHECK(as_nobody("--groups=games") == 0);
  CHECK(as_nobody("--clear-groups") != 0);
  std::filesystem::create_directories(dir.path("x"));
  service_process wrong{dir.path("x"), {{"APP_ADMIN_GROUP", "no-such-group"}}, false};
  CHECK(wrong.wait().code == 1);
}

TEST_CASE("admin socket: it answers while starting and until the very end of a stop") {
  REQUIRE(has_faults());
  temp_dir dir;
  {
    service_process service{dir.path(), {{"PHI_FAULTS", "store.open=block:800"}}, false};
    CHECK(service.wait_for_log("supervisor starts"));
    json status;
    for (auto end = std::chrono::steady_clock::now() + 3s;
         status.is_null() && std::chrono::steady_clock::now() < end;) {
      auto answer = ctl(dir, {"--json", "status"});
      if (answer.code == 0)
        status = json::parse(answer.out);
    }
    CHECK(status["state"] == "starting");
    CHECK(service.wait_for_log("supervisor is ready"));
    service.stop();
  }
  service_process service{dir.path(), {{"PHI_FAULTS", "watchdog.release=block:800"}}};
  raw_admin early{dir.path("admin.sock")};
  service.signal(SIGTERM);
  CHECK(service.wait_for_log("begins to stop"));
  early.send(ask_status);
  CHECK(has(early.line(), "stopping"));
  CHECK(service.wait().code == 0);
}

TEST_CASE("admin socket: the file of a dead process is replaced, a live one is not") {
  temp_dir dir;
  temp_dir other;
  {
    service_process service{dir.path()};
    service.kill(); // leaves its socket behind
  }
  CHECK(std::filesystem::exists(dir.path("admin.sock")));
  service_process service{dir.path()};
  CHECK(ctl(dir, {"health"}).code == 0);
  service_process thief{other.path(), {{"APP_ADMIN_SOCKET", dir.path("admin.sock")}}, false};
  CHECK(thief.wait().code == 1);
  CHECK(thief.logged("another process answers there"));
  CHECK(ctl(dir, {"health"}).code == 0);
}

TEST_CASE("tokens: from the first on they are needed, by scope, until they expire or are revoked") {
  temp_dir dir;
  auto create = [&](const std::string& scope, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"token", "create", "--name", "n", "--scope", scope};
    words.insert(words.end(), more.begin(), more.end());
    auto secret = ctl(dir, words).out;
    return secret.substr(0, secret.find('\n'));
  };
  auto header = [](const std::string& secret) {
    return "Authorization: Bearer " + secret + "\r\n";
  };
  std::string ingest, read, admin;
  {
    service_process service{dir.path()};
    auto status = [&](const std::string& secret) {
      return std::pair{
        post(service.port(), "/api/v1/events", R"({"feature":"f"})", "application/json",
             secret.empty() ? "" : header(secret))
          .status,
        get(service.port(), "/api/v1/stats/summary", secret.empty() ? "" : header(secret)).status};
    };
    using both = std::pair<int, int>;
    CHECK(status("") == both{200, 200}); // there is none yet
    auto hasty = ctl(dir, {"token", "create", "--name", "n", "--scope", "ingest"});
    CHECK(hasty.code != 0); // two requests came without one: the first locks their clients out
    CHECK(has(hasty.err, "2 requests have come without a token"));
    CHECK(status("") == both{200, 200});
    auto first = ctl(dir, {"token", "create", "--name", "n", "--scope", "ingest", "--yes"});
    CHECK(has(first.err, "this is the first token"));
    ingest = first.out.substr(0, first.out.find('\n'));
    read = create("read");
    admin = create("admin");
    CHECK(ingest.starts_with("phi_"));
    CHECK(status("") == both{401, 401});
    CHECK(status("wrong") == both{401, 401});
    CHECK(status(ingest) == both{200, 403});
    CHECK(status(read) == both{403, 200});
    CHECK(status(admin) == both{200, 200});
    CHECK(get(service.port(), "/health/ready").status == 200);
    auto brief = create("read", {"--expires", "1s"});
    CHECK(status(brief).second == 200);
    ::poll(nullptr, 0, 1100);
    CHECK(status(brief).second == 401);
    auto list = json::parse(ctl(dir, {"--json", "token", "list"}).out);
    CHECK(list.size() == 4);
    CHECK(list[0]["expired"] == false);
    CHECK(list[3]["expired"] == true);
    CHECK(has(ctl(dir, {"token", "list"}).out, "(over)"));
    CHECK(ctl(dir, {"token", "revoke", list[1]["id"].get<std::string>()}).code == 0);
    CHECK(status(read) == both{401, 401});
    CHECK(ctl(dir, {"token", "revoke", "nobody"}).code == 1);
    CHECK(ctl(dir, {"token", "create", "--name", "x", "--scope", "all"}).code == 2);
    CHECK(ctl(dir, {"token", "create", "--name", "x", "--scope", "read", "--expires", "soon"}).code
          == 2);
    CHECK(service.stop().code == 0);
    auto kept = read_file(dir.path("tokens.json"));
    CHECK_FALSE(has(kept, ingest)); // only digests
    CHECK_FALSE(service.logged(ingest));
  }
  service_process again{dir.path()};
  CHECK(post(again.port(), "/api/v1/events", R"({"feature":"f"})").status == 401);
  CHECK(
    post(again.port(), "/api/v1/events", R"({"feature":"f"})", "application/json", header(ingest))
      .status
    == 200);
  again.stop();
  std::ofstream{dir.path("tokens.json")} << "{\"tokens\": 7}";
  service_process broken{dir.path(), {}, false};
  CHECK(broken.wait().code == 1); // never open because a file is broken
  CHECK(broken.logged("cannot read the tokens"));
}

TEST_CASE("tokens: needed once is needed for ever, also when the last one is gone") {
  temp_dir dir;
  auto status = [&](uint16_t port, const std::string& secret) {
    return get(port, "/api/v1/stats/summary", "Authorization: Bearer " + secret + "\r\n").status;
  };
  std::string secret;
  {
    service_process service{dir.path()};
    auto made = ctl(dir, {"token", "create", "--name", "n", "--scope", "read"});
    CHECK(made.code == 0); // nobody has come without one: nobody is locked out
    secret = made.out.substr(0, made.out.find('\n'));
    CHECK(status(service.port(), secret) == 200);
    auto id = json::parse(ctl(dir, {"--json", "token", "list"}).out)[0]["id"].get<std::string>();
    CHECK(ctl(dir, {"token", "revoke", id}).code == 0);
    CHECK(status(service.port(), secret) == 401);
    CHECK(get(service.port(), "/api/v1/stats/summary").status == 401);
    CHECK(service.stop().code == 0);
  }
  // Also after a start, and enough to let other machines try.
  service_process again{dir.path(), {{"APP_SERVER_HOST", "0.0.0.0"}}};
  CHECK(status(again.port(), secret) == 401);
  CHECK(get(again.port(), "/api/v1/stats/summary").status == 401);
}

TEST_CASE("tokens: what makes no sense is refused, and makes none") {
  temp_dir dir;
  service_process service{dir.path()};
  raw_admin line{dir.path("admin.sock")};
  auto code_of = [&](const std::string& params) -> int {
    line.send(R"({"jsonrpc":"2.0","id":1,"method":"token-create","params":)" + params + "}\n");
    auto answer = json::parse(line.line());
    return answer.contains("error") ? answer["error"]["code"].get<int>() : 0;
  };
  for (const auto* seconds :
       {"0", "-1", "1.5", "1e30", "3153600001", "9223372036854775807", "9223372036854775808",
        "18446744073709551615", "99999999999999999999999", "\"1\"", "null", "true"}) {
    CAPTURE(seconds);
    CHECK(
      code_of(R"({"name":"n","scopes":["read"],"expiresInSeconds":)" + std::string{seconds} + "}")
      == -32602);
  }
  for (const auto* name : {"", "  ", "a\\nb", "a\\u001b[31m"})
    CHECK(code_of(R"({"scopes":["read"],"name":")" + std::string{name} + "\"}") == -32602);
  CHECK(code_of(R"({"scopes":["read"],"name":")" + std::string(65, 'x') + "\"}") == -32602);
  CHECK(code_of(R"({"name":"n","scopes":[]})") == -32602);
  CHECK(code_of(R"({"name":"n"})") == -32602);
  CHECK(json::parse(ctl(dir, {"--json", "token", "list"}).out).empty());
  CHECK(get(service.port(), "/api/v1/stats/summary").status == 200); // none was made
  CHECK(code_of(R"({"name":"n","scopes":["read"],"expiresInSeconds":3153600000,"confirmed":true})")
        == 0);
  CHECK(json::parse(ctl(dir, {"--json", "token", "list"}).out).size() == 1);
}
