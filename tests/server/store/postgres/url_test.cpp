// Where PostgreSQL is, and the password that must not be told.

#include "server/store/postgres/url.hpp"
#include "tests/support/doctest.hpp"

#include <cstdlib>

using namespace phi::store;

TEST_CASE(
  "a URL that libpq understands otherwise than its writer is refused, without its password") {
  for (std::string url : {
         "postgresql://phi:ge%heim@127.0.0.1/db",
         "postgresql://phi:geheim%@127.0.0.1/db",
         "postgresql://phi:ge@heim@127.0.0.1/db",
         "postgresql://phi:ge/heim@127.0.0.1/db",
         "postgresql://phi:12/geheim@127.0.0.1/db",
         "postgresql://phi:ge?he@im@127.0.0.1/db",
         "postgresql://phi:g:e@heim/geheim@127.0.0.1:5432/db",
         "postgresql://phi@127.0.0.1/db?password=geheim%",
         "host=127.0.0.1 password=ge heim dbname=db",
         "host=127.0.0.1 password='geheim dbname=db",
       }) {
    CAPTURE(url);
    auto why = check_postgres_url(url).why();
    CHECK(why != "");
    CHECK(why.find("heim") == why.npos);
    CHECK(why.find("ge%") == why.npos);
    CHECK(why.find("%25") != why.npos); // how to write it
  }
}

TEST_CASE("URLs that are right are taken; a wrong parameter is named") {
  for (std::string url : {
         "postgresql://phi@127.0.0.1:5432/postgres",
         "postgres://phi:ge%25he%40im%2F@a,b:5433/db?target_session_attrs=read-write",
         "postgresql://user%40tenant:geheim@host/db",
         "postgresql:///db?host=/run/postgresql",
         "host=127.0.0.1 password='ge @/% heim' dbname=db",
         "postgresql://phi:ge#h:e?im@127.0.0.1/db?application_name=a@b",
       }) {
    CAPTURE(url);
    CHECK(check_postgres_url(url).why() == "");
  }
  CHECK(
    check_postgres_url("postgresql://phi:geheim@127.0.0.1/db?schema=public").why().find("schema")
    != std::string::npos);
}

TEST_CASE("a password is struck out of what libpq says, decoded or not") {
  secret_words words{"postgresql://phi:ge%25heim@127.0.0.1/db"};
  CHECK(words.without("FATAL: ge%heim, ge%25heim is wrong for phi")
        == "FATAL: ***, *** is wrong for phi");
  CHECK(secret_words{"host=h password=geheim"}.without("geheim") == "***");
  CHECK(secret_words{}.without("as it is") == "as it is");
}

TEST_CASE("the hosts of a URL are those that libpq would try, in its order") {
  auto shown = [](const std::string& url) {
    std::string out;
    for (const auto& host : hosts_of(url))
      out += "[" + host.name + " " + host.address + " " + host.port + "]";
    return out;
  };
  CHECK(shown("postgresql://phi@a/db") == "[a  ]");
  CHECK(shown("postgresql://phi@a:1,b:2,c/db") == "[a  1][b  2][c  5432]");
  CHECK(shown("postgresql://phi@[::1]:1,b/db") == "[::1  1][b  5432]");
  CHECK(shown("postgresql://phi@a,b/db") == "[a  5432][b  5432]");
  CHECK(shown("host=a,b port=5433 dbname=db") == "[a  5433][b  5433]");
  CHECK(shown("host=a,b hostaddr=10.0.0.1,10.0.0.2 port=1,2") == "[a 10.0.0.1 1][b 10.0.0.2 2]");
  CHECK(shown("hostaddr=10.0.0.1,10.0.0.2") == "[ 10.0.0.1 ][ 10.0.0.2 ]");
  CHECK(shown("postgresql:///db?host=/run/postgresql") == "[/run/postgresql  ]");
  CHECK(shown("dbname=db") == "[  5432]");
  ::setenv("PGHOST", "a,b", 1); // as its environment says
  CHECK(shown("dbname=db") == "[a  5432][b  5432]");
  CHECK(shown("dbname=db port=7") == "[a  7][b  7]");
  CHECK(shown("dbname=db host=c") == "[c  ]");
  ::unsetenv("PGHOST");
  CHECK(shown("host=a,b,c port=1,2") == "[  ]"); // it says what is wrong
  CHECK(url_value("postgresql://a/db?connect_timeout=7", "connect_timeout") == "7");
  CHECK(url_value("postgresql://a/db", "connect_timeout") == "");
}
