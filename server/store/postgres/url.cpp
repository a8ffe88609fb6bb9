#include "server/store/postgres/url.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <memory>
#include <string_view>

namespace phi::store {
namespace {

struct free_options {
  void operator()(PQconninfoOption* list) const noexcept { PQconninfoFree(list); }
};
using options = std::unique_ptr<PQconninfoOption, free_options>;

struct parsed {
  options list;
  std::string error;

  std::string value(std::string_view name) const {
    for (const auto* option = list.get(); option && option->keyword; ++option)
      if (name == option->keyword && option->val)
        return option->val;
    return {};
  }
};

parsed parse(const std::string& url) {
  char* why = nullptr;
  parsed out{options{PQconninfoParse(url.c_str(), &why)}, why ? why : ""};
  PQfreemem(why);
  return out;
}

bool is_url(std::string_view text) {
  return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

/// What libpq says of a text that it cannot read, if what it quotes cannot be of the password: it
/// stands behind the last @, and no password is there.
std::string harmless(const std::string& url, const std::string& error) {
  auto at = url.rfind('@');
  auto tail = at == url.npos ? url : url.substr(at + 1);
  auto open = error.find('"');
  auto shut = error.rfind('"');
  if (!is_url(url) || tail.find("assw") != tail.npos || open == error.npos || shut <= open + 1
      || tail.find(error.substr(open + 1, shut - open - 1)) == tail.npos)
    return {};
  return error.substr(0, shut + 1);
}

/// As libpq divides a list of hosts.
std::vector<std::string> divided(const std::string& list) {
  std::vector<std::string> out;
  for (size_t from = 0, comma = 0; comma != list.npos; from = comma + 1) {
    comma = list.find(',', from);
    out.push_back(list.substr(from, comma - from));
  }
  return out;
}

constexpr auto default_port = "5432";

constexpr auto how_to_write =
  "its text is not shown, for a part of it may be the password. In a URL a password has % as %25,"
  " @ as %40, / as %2F, : as %3A, ? as %3F, # as %23; in the form key=value it stands in single"
  " quotes";

} // namespace

outcome check_postgres_url(const std::string& url) {
  auto read = parse(url);
  if (!read.list) {
    auto why = harmless(url, read.error);
    return outcome::failure("stats.postgres_url cannot be read: "
                            + (why.empty() ? how_to_write : why));
  }
  // A raw @ or / cuts a password in two, and libpq takes the pieces for a host, a port, a database.
  auto first = url.find('@'); // a ? before it is of the password
  auto address = std::string_view{url}.substr(0, url.find('?', first == url.npos ? 0 : first));
  bool cut = is_url(url)
             && (std::count(address.begin(), address.end(), '@') > 1
                 || read.value("dbname").find('@') != std::string::npos);
  auto port = read.value("port");
  cut |= !std::all_of(port.begin(), port.end(),
                      [](unsigned char c) { return std::isdigit(c) || c == ','; });
  if (!cut)
    return {};
  return outcome::failure(std::string{"stats.postgres_url does not say what it is meant to: "}
                          + how_to_write);
}

std::vector<postgres_host> hosts_of(const std::string& url) {
  auto read = parse(url);
  auto said = read.value("port");
  if (read.value("host").empty() && read.value("hostaddr").empty()
      && read.value("service").empty()) {
    read = {options{PQconndefaults()}, {}}; // what PGHOST and its like say, or PGSERVICE
    said = said.empty() ? read.value("port") : said;
  }
  auto names = divided(read.value("host"));
  auto addresses = divided(read.value("hostaddr"));
  auto ports = divided(said);
  auto count = std::max(names.size(), addresses.size());
  auto fits = [&](const std::vector<std::string>& list) {
    return list.size() == 1 || list.size() == count;
  };
  if (!fits(names) || !fits(addresses) || !fits(ports))
    return {{}}; // libpq says what is wrong
  auto item = [](const std::vector<std::string>& list, size_t i) {
    return list.size() == 1 ? list[0] : list[i];
  };
  std::vector<postgres_host> out;
  for (size_t i = 0; i < count; ++i)
    out.push_back({item(names, i), item(addresses, i), item(ports, i)});
  for (auto& host : out)
    if (host.port.empty() && ports.size() > 1)
      host.port = default_port; // as libpq reads a list (libpq, "PQconnectdbParams", port)
  return out;
}

std::vector<std::pair<std::string, std::string>> url_values_but_places(const std::string& url) {
  auto read = parse(url);
  std::vector<std::pair<std::string, std::string>> out;
  constexpr std::string_view places[] = {"host", "hostaddr", "port"};
  for (const auto* option = read.list.get(); option && option->keyword; ++option)
    if (option->val
        && std::find(std::begin(places), std::end(places), option->keyword) == std::end(places))
      out.emplace_back(option->keyword, option->val);
  return out;
}

std::string url_value(const std::string& url, const std::string& keyword) {
  return parse(url).value(keyword);
}

secret_words::secret_words(const std::string& url) {
  auto read = parse(url);
  for (const char* name : {"password", "sslpassword"})
    if (auto word = read.value(name); word.size() > 2) // a shorter one would strike everything out
      words_.push_back(std::move(word));
  auto from = url.find("://");
  auto to = url.rfind('@');
  if (from == url.npos || to == url.npos || to < from)
    return;
  // As it stands in the URL.
  if (auto colon = url.find(':', from + 3); colon < to && to - colon > 3)
    words_.push_back(url.substr(colon + 1, to - colon - 1));
}

std::string secret_words::without(std::string text) const {
  for (const auto& word : words_)
    for (auto at = text.find(word); at != text.npos; at = text.find(word, at + 3))
      text.replace(at, word.size(), "***");
  return text;
}

} // namespace phi::store
