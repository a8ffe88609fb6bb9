// Programs that others wrote, as they come from their packages: clients, and proxies before the
// service. Each is started on loopback, and what it sends is counted exactly.

#include "tests/support/background_program.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/service_process.hpp"
#include "tests/support/stored.hpp"

#include <fstream>

using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

bool lacks(const std::string& program) {
  return shell("PATH=$PATH:/usr/sbin command -v " + program).code != 0;
}

std::string address_of(const service_process& service) {
  return "127.0.0.1:" + std::to_string(service.port());
}

std::string events_of(const std::string& address) {
  return "http://" + address + "/api/v1/events";
}

int64_t rows(const service_process& service, const std::string& where = "1") {
  return ask_database(service.database(), "SELECT count(*) FROM event WHERE " + where);
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream{path} << text;
}

/// Sends so many events with ids through a proxy, four connections in turn, and how many were
/// stored.
int send_through(uint16_t port, int count) {
  int stored = 0;
  std::vector<std::unique_ptr<http_client>> clients;
  for (int i = 0; i < 4; ++i)
    clients.push_back(std::make_unique<http_client>(port));
  for (int i = 0; i < count; ++i) {
    auto body = R"({"feature":"proxied","id":"p-)" + std::to_string(i) + "\"}";
    auto answer = clients[static_cast<size_t>(i) % clients.size()]->post("/api/v1/events", body);
    stored += answer.body.find(R"("stored":1,)") != std::string::npos;
  }
  return stored;
}

const settings quiet{{"APP_STATS_TRACK_REQUESTS", "false"}};

} // namespace

TEST_CASE("curl: a body from the command line, a large one that waits, one in chunks, both versions"
          * doctest::skip(lacks("curl"))) {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto curl = [&](const std::string& rest) {
    return shell("curl -s --max-time 20 " + events_of(address_of(service)) + " " + rest).out;
  };
  const std::string json = "-H 'Content-Type: application/json' ";
  auto stored = [](int n) {
    return "{\"stored\":" + std::to_string(n)
           + R"(,"duplicates":0,"rejected":[],"durability":"committed"})";
  };
  CHECK(curl(json + R"(-d '{"feature":"a"}')") == stored(1));
  CHECK(curl("--json '{\"feature\":\"a\"}'") == stored(1));
  CHECK(curl("--http1.0 " + json + R"(-d '{"feature":"a"}')") == stored(1));
  CHECK(has(curl(R"(-d '{"feature":"a"}')"), "Content-Type is application/x-www-form-urlencoded"));
  std::string lines;
  for (int i = 0; i < 40'000; ++i)
    lines += "{\"feature\":\"many\"}\n";
  write_file(dir.path("lines"), lines.substr(0, lines.size() / 8)); // over 1 MiB curl waits for 100
  const std::string from_file = "-H 'Content-Type: application/x-ndjson' --data-binary @"
                                + dir.path("lines") + " -H 'Expect: 100-continue'";
  CHECK(curl(from_file) == stored(5000));
  CHECK(curl(from_file + " -H 'Transfer-Encoding: chunked'") == stored(5000));
  CHECK(curl("-I -X HEAD").find("405") != std::string::npos);
  CHECK(service.stop().code == 0);
  CHECK(rows(service) == 10'003);
}

TEST_CASE("Node: fetch on connections that are kept" * doctest::skip(lacks("node"))) {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto url = events_of(address_of(service));
  auto sent = shell("node " + source_path("tests/e2e/fetch_client.mjs") + " " + url + " 400");
  CAPTURE(sent.err);
  CHECK(sent.out == "400\n");
  CHECK(service.stop().code == 0);
  CHECK(rows(service) == 400);
}

TEST_CASE("the CloudEvents SDK for JavaScript: the same events in all modes count once"
          * doctest::skip(lacks("node") || lacks("npm"))) {
  temp_dir dir;
  auto got = shell("npm install --prefix " + dir.path("sdk")
                   + " --no-audit --no-fund --ignore-scripts --loglevel=error cloudevents@10.0.0");
  if (got.code != 0) {
    MESSAGE("skipped: npm cannot install the SDK: " << got.err.substr(0, got.err.find('\n')));
    return;
  }
  service_process service{dir.path(), quiet};
  auto url = events_of(address_of(service));
  auto sent = shell("node " + source_path("tests/e2e/cloudevents_client.mjs") + " "
                    + dir.path("sdk") + " " + url);
  CAPTURE(sent.err);
  auto line = [](int stored, int duplicates) {
    return "200 {\"stored\":" + std::to_string(stored) + ",\"duplicates\":"
           + std::to_string(duplicates) + R"(,"rejected":[],"durability":"committed"})" + "\n";
  };
  std::string expected;
  for (int i = 0; i < 4; ++i)
    expected += line(1, 0); // binary
  for (int i = 0; i < 4; ++i)
    expected += line(0, 1); // structured
  CHECK(sent.out == expected + line(1, 4));
  CHECK(service.stop().code == 0);
  auto ask = in_file(service.database());
  using texts = std::vector<std::string>;
  CHECK(ask("SELECT count(*) FROM event") == texts{"5"});
  CHECK(ask("SELECT DISTINCT feature FROM event") == texts{"com.example.order"});
  CHECK(ask("SELECT count(*) FROM event WHERE status = 200 AND duration_us = 12500") == texts{"3"});
}

TEST_CASE("nginx before the service: connections to it are kept, and each event counts once"
          * doctest::skip(lacks("nginx"))) {
  temp_dir dir;
  auto counted = quiet;
  counted["APP_SERVER_TRUSTED_PROXIES"] = "127.0.0.1";
  service_process service{dir.path(), counted};
  auto port = free_port();
  auto part = [&](const std::string& name) {
    return name + "_temp_path " + dir.path(name) + ";\n";
  };
  write_file(dir.path("nginx.conf"),
             "daemon off; master_process off; error_log stderr warn; pid " + dir.path("nginx.pid")
               + ";\nevents { worker_connections 64; }\nhttp {\naccess_log off;\n"
               + part("client_body") + part("proxy") + part("fastcgi") + part("uwsgi")
               + part("scgi") + "upstream phi { server " + address_of(service)
               + "; keepalive 4; }\nserver { listen 127.0.0.1:" + std::to_string(port)
               + ";\nlocation / { proxy_pass http://phi; proxy_http_version 1.1;\n"
                 "proxy_set_header Connection \"\";\n"
                 "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } } }\n");
  background_program nginx{{"/usr/sbin/nginx", "-c", dir.path("nginx.conf"), "-p", dir.path()},
                           dir.path("nginx.log")};
  REQUIRE(eventually([&] { return get(port, "/health/live").status == 200; }));
  CHECK(send_through(port, 200) == 200);
  auto status = ctl(dir, {"status", "--json"}).out;
  CHECK(gauge(status, "accepted") < 20); // and not one for each event
  CHECK(service.stop().code == 0);
  CHECK(rows(service) == 200);
}

TEST_CASE("HAProxy before the service: its checks of HTTP/1.0 are passed, and clients are told"
          * doctest::skip(lacks("haproxy"))) {
  for (const std::string check : {"", " GET /health/ready"}) {
    CAPTURE(check);
    temp_dir dir;
    service_process service{dir.path(), {{"APP_SERVER_TRUSTED_PROXIES", "127.0.0.1"}}};
    auto port = free_port();
    write_file(dir.path("haproxy.cfg"),
               "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n"
               " timeout server 30s\n option httpchk"
                 + check + "\n option forwardfor\nlisten phi\n bind 127.0.0.1:"
                 + std::to_string(port) + "\n stats enable\n stats uri /haproxy\n server one "
                 + address_of(service) + " check inter 100ms fall 1 rise 1\n");
    background_program haproxy{{"/usr/sbin/haproxy", "-db", "-f", dir.path("haproxy.cfg")},
                               dir.path("haproxy.log")};
    // "1,L7OK,200,...": the status of the server and of its last check.
    auto state = [&] {
      return shell("curl -s '127.0.0.1:" + std::to_string(port)
                   + "/haproxy;csv' | grep '^phi,one,'")
        .out;
    };
    CHECK(eventually([&] { return has(state(), ",L7OK,200,"); }));
    CHECK(has(state(), ",UP,"));
    CHECK(send_through(port, 100) == 100);
    for (const auto* from : {"127.0.0.2", "127.0.0.3", "127.0.0.2"})
      CHECK(shell("curl -s --interface " + std::string{from} + " --json '{\"feature\":\"b\"}' "
                  + events_of("127.0.0.1:" + std::to_string(port)))
              .code
            == 0);
    CHECK(service.stop().code == 0);
    CHECK(eventually([&] { return has(state(), ",DOWN,"); }));
    CHECK(ask_database(service.database(), "SELECT count(DISTINCT address_hash) FROM event") == 3);
  }
}
