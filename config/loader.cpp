#include "config/loader.hpp"

#include "config/keys.hpp"
#include "protocol/outcome.hpp"
#include "protocol/platform/addresses.hpp"
#include "protocol/platform/process.hpp"
#include "protocol/state_files.hpp"
#include "protocol/text/byte_order_mark.hpp"
#include "protocol/text/rfc3339.hpp"

#include <toml.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

namespace phi {
namespace {

std::vector<std::string> paths_of_keys() {
  std::vector<std::string> paths;
  for (const auto& key : all_keys())
    paths.emplace_back(key.path);
  return paths;
}

const config_key* find_key(std::string_view path) {
  for (const auto& key : all_keys())
    if (key.path == path)
      return &key;
  return nullptr;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  auto best = closest(name, known);
  return best.empty() ? "" : "; did you mean " + best + "?";
}

/// `FILE:LINE`, then the line itself with the offending text underlined.
std::string show_place(const toml::value& at, const std::string& message) {
  auto where = at.location();
  std::string out = where.file_name() + ":" + std::to_string(where.line()) + ": " + message + "\n";
  out += "    " + where.line_str() + "\n    ";
  out += std::string(where.column() > 0 ? where.column() - 1 : 0, ' ');
  out += std::string(std::max<size_t>(1, std::min<size_t>(where.region(), where.line_str().size())),
                     '^');
  return out;
}

std::string range_text(const config_key& key) {
  return "a whole number from " + std::to_string(key.min) + " to " + std::to_string(key.max);
}

std::string choices_text(const config_key& key) {
  std::string out = "one of";
  for (auto choice : key.choices)
    out += std::string{out == "one of" ? " " : ", "} + "\"" + std::string{choice} + "\"";
  return out;
}

/// Whether `text` may be the value of `key`; else what would be right.
outcome check_text(const config_key& key, const std::string& text) {
  if (!key.choices.empty()
      && std::find(key.choices.begin(), key.choices.end(), text) == key.choices.end())
    return outcome::failure("expected " + choices_text(key));
  return {};
}

outcome check_number(const config_key& key, int64_t number) {
  if (number < key.min || number > key.max)
    return outcome::failure("expected " + range_text(key));
  return {};
}

/// Puts a TOML value in its place, if it may be there.
struct toml_setter {
  const config_key& key;
  const toml::value& from;

  outcome operator()(bool* to) const {
    if (!from.is_boolean())
      return outcome::failure("expected true or false");
    *to = from.as_boolean();
    return {};
  }
  outcome operator()(int64_t* to) const {
    if (!from.is_integer())
      return outcome::failure("expected " + range_text(key));
    *to = from.as_integer();
    return check_number(key, *to);
  }
  outcome operator()(std::string* to) const {
    if (!from.is_string())
      return outcome::failure(key.choices.empty() ? "expected a text in quotes"
                                                  : "expected " + choices_text(key));
    *to = from.as_string().str;
    return check_text(key, *to);
  }
  outcome operator()(secret* to) const { return (*this)(&to->value); }
  outcome operator()(std::vector<std::string>* to) const {
    if (!from.is_array())
      return outcome::failure("expected a list of texts, such as [\"a\", \"b\"]");
    to->clear();
    for (const auto& item : from.as_array()) {
      if (!item.is_string())
        return outcome::failure("expected a list of texts, such as [\"a\", \"b\"]");
      to->push_back(item.as_string().str);
    }
    return {};
  }
};

/// The same for a text from the environment.
struct text_setter {
  const config_key& key;
  const std::string& from;

  outcome operator()(bool* to) const {
    if (from != "true" && from != "false" && from != "1" && from != "0")
      return outcome::failure("expected true or false");
    *to = from == "true" || from == "1";
    return {};
  }
  outcome operator()(int64_t* to) const {
    size_t used = 0;
    try {
      *to = std::stoll(from, &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (from.empty() || used != from.size())
      return outcome::failure("expected " + range_text(key));
    return check_number(key, *to);
  }
  outcome operator()(std::string* to) const {
    *to = from;
    return check_text(key, from);
  }
  outcome operator()(secret* to) const {
    to->value = from;
    return {};
  }
  outcome operator()(std::vector<std::string>* to) const {
    to->clear();
    for (size_t at = 0; at < from.size();) {
      auto end = std::min(from.find(',', at), from.size());
      if (end > at)
        to->push_back(from.substr(at, end - at));
      at = end + 1;
    }
    return {};
  }
};

/// One load under way.
class config_loader {
public:
  explicit config_loader(loaded_config& out) : out_(out) {
    for (const auto& key : all_keys())
      out_.origins[std::string{key.path}] = default_origin;
  }

  void read_file(const std::string& file) {
    try {
      bool directory = std::filesystem::is_directory(file);
      if (directory || !std::ifstream{file})
        return problem("cannot read the configuration file " + file + ": "
                       + std::strerror(directory ? EISDIR : errno)
                       + "; name another file with --config, or leave --config out");
      read_table("", toml::parse(file));
    } catch (const toml::exception& e) {
      problem(one_place(e));
    } catch (const std::exception& e) {
      problem("cannot read " + file + ": " + e.what());
    }
  }

  /// Secrets that systemd gives the service (LoadCredential=): a file named after the key, such as
  /// auth.token, or secrets_auth.token when the unit loads a directory under the name "secrets".
  void read_credentials(const std::string& directory) {
    if (directory.empty())
      return;
    for (const auto& key : all_keys())
      for (const char* prefix : {"", "secrets_"}) {
        auto file = directory + "/" + prefix + std::string{key.path};
        if (std::error_code error; is_secret(key) && std::filesystem::exists(file, error))
          set_from_secret_file(key, file, "credential " + std::string{key.path});
      }
  }

  void read_environment(const environment& env) {
    auto names = names_of_keys();
    for (const auto& [name, value] : env)
      if (name.starts_with("APP_"))
        read_variable(name, value, names);
  }

private:
  void problem(std::string text) { out_.problems.push_back({std::move(text)}); }

  /// The parser's own message already shows file, line and text; drop its "[error]" decoration.
  static std::string one_place(const toml::exception& e) {
    auto where = e.location();
    std::string text = e.what();
    if (auto bar = text.find("] "); text.starts_with("[error]") && bar != std::string::npos)
      text = text.substr(bar + 2);
    return where.file_name() + ":" + std::to_string(where.line()) + ": not valid TOML: " + text;
  }

  void read_table(const std::string& prefix, const toml::value& table) {
    for (const auto& [name, value] : table.as_table()) {
      auto path = prefix.empty() ? name : prefix + "." + name;
      if (value.is_table())
        read_section(path, value);
      else
        read_key(path, value);
    }
  }

  void read_section(const std::string& path, const toml::value& table) {
    bool known = false;
    std::vector<std::string> sections;
    auto consider = [&](std::string_view key_path) {
      known |= key_path.starts_with(path + ".");
      for (auto dot = key_path.find('.'); dot != key_path.npos; dot = key_path.find('.', dot + 1))
        sections.emplace_back(key_path.substr(0, dot));
    };
    for (const auto& key : all_keys())
      consider(key.path);
    for (auto reserved : reserved_keys())
      consider(reserved);
    if (known)
      read_table(path, table);
    else
      problem(show_place(table, "unknown section [" + path + "]" + did_you_mean(path, sections)));
  }

  void read_key(const std::string& path, const toml::value& value) {
    if (const auto* key = find_key(path)) {
      auto set = std::visit(toml_setter{*key, value}, key->in(out_.values));
      if (!set)
        return problem(show_place(value, path + ": " + set.why()));
      auto where = value.location();
      out_.origins[path] = where.file_name() + ":" + std::to_string(where.line());
    } else if (is_reserved(path)) {
      out_.warnings.push_back(path + " has no effect in this version");
    } else {
      problem(show_place(value, "unknown key " + path + did_you_mean(path, paths_of_keys())));
    }
  }

  static bool is_reserved(std::string_view path) {
    auto reserved = reserved_keys();
    return std::find(reserved.begin(), reserved.end(), path) != reserved.end();
  }

  static std::vector<std::string> names_of_keys() {
    std::vector<std::string> names;
    for (const auto& key : all_keys()) {
      names.push_back(environment_name(key.path));
      if (is_secret(key))
        names.push_back(names.back() + "_FILE");
    }
    return names;
  }

  static bool is_secret(const config_key& key) {
    config probe;
    return std::holds_alternative<secret*>(key.in(probe));
  }

  void read_variable(const std::string& name, const std::string& value,
                     const std::vector<std::string>& names) {
    for (const auto& key : all_keys()) {
      auto own = environment_name(key.path);
      if (name == own)
        return set_from_text(key, value, "environment " + name);
      if (is_secret(key) && name == own + "_FILE")
        return set_from_secret_file(key, value, "environment " + name);
    }
    for (auto reserved : reserved_keys())
      if (name == environment_name(reserved))
        return out_.warnings.push_back(name + " has no effect in this version");
    out_.warnings.push_back("unknown setting " + name + " in the environment"
                            + did_you_mean(name, names));
  }

  void set_from_text(const config_key& key, const std::string& text, const std::string& origin) {
    auto set = std::visit(text_setter{key, text}, key.in(out_.values));
    if (set)
      out_.origins[std::string{key.path}] = origin;
    else
      problem(origin + ": " + set.why() + ", got \"" + (is_secret(key) ? "..." : text) + "\"");
  }

  void set_from_secret_file(const config_key& key, const std::string& file,
                            const std::string& origin) {
    std::ifstream in{file};
    std::string text;
    std::getline(in, text);
    // An editor of another system may have written a mark at the beginning and its end of a line.
    text = std::string{without_byte_order_mark(text)};
    text.erase(text.find_last_not_of(" \t\r") + 1);
    if (!in || text.empty())
      return problem(origin + ": cannot read a secret from " + file
                     + "; it must be in the first line");
    if (text.find('\0') != text.npos || text.starts_with("\xff\xfe"))
      return problem(origin + ": " + file + " is not a text in UTF-8");
    set_from_text(key, text, origin);
  }

  loaded_config& out_;
};

std::string variable(const environment& env, std::string_view name) {
  for (const auto& [key, value] : env)
    if (key == name)
      return value;
  return {};
}

/// systemd gives a list separated by `:` when a unit names several directories.
std::string first_of_list(const std::string& list) {
  return list.substr(0, list.find(':'));
}

void resolve(config& values, const environment& env) {
  auto& r = values.resolved;
  r.state_dir = values.server.state_dir;
  if (r.state_dir.empty())
    r.state_dir = first_of_list(variable(env, "STATE_DIRECTORY"));
  if (r.state_dir.empty())
    r.state_dir = "./data";
  r.sqlite_path =
    values.stats.sqlite_path.empty() ? r.state_dir + "/phi.db" : values.stats.sqlite_path;
  r.spool_path = values.spool.path.empty() ? r.state_dir + "/spool.db" : values.spool.path;
  auto runtime = first_of_list(variable(env, "RUNTIME_DIRECTORY"));
  r.admin_socket = !values.admin.socket.empty()
                     ? values.admin.socket
                     : (runtime.empty() ? r.state_dir : runtime) + "/admin.sock";
  r.instance = values.server.instance.empty() ? host_name() : values.server.instance;
  r.start_at_us =
    values.stats.start_at.empty() ? std::nullopt : parse_rfc3339(values.stats.start_at);
  r.durability = values.stats.durability == "queued"   ? durability::queued
                 : values.stats.durability == "normal" ? durability::normal
                                                       : durability::full;
  r.storage = values.stats.storage == "postgres" ? storage_kind::postgres : storage_kind::sqlite;
}

/// Whether only this machine can reach an address. A name says nothing of that, however it begins.
bool is_loopback(const std::string& host) {
  return host == "localhost" || is_loopback_address(host);
}

/// The port that a browser leaves out of an origin, if the text has it.
std::string_view port_too_many(std::string_view origin) {
  for (auto [scheme, port] :
       {std::pair<std::string_view, std::string_view>{"https://", ":443"}, {"http://", ":80"}})
    if (origin.starts_with(scheme) && origin.ends_with(port))
      return port;
  return {};
}

/// Whether a browser would send it so (RFC 6454, section 6.2): a scheme, a host, and a port where
/// it is not the scheme's own (see `port_too_many`); no path, not even "/".
bool is_origin(std::string_view text) {
  auto colon = text.find("://");
  if (text == "*" || text == "null")
    return true;
  if (colon == text.npos || colon == 0)
    return false;
  auto host = text.substr(colon + 3);
  return !host.empty() && host.find_first_of("/?#@ ") == host.npos
         && std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

/// Of all actors, in percent of shutdown.timeout_secs.
int64_t sum_of_shares(config loaded) {
  int64_t sum = 0;
  for (const auto& key : all_keys())
    if (key.path.ends_with("_budget_percent"))
      sum += *std::get<int64_t*>(key.in(loaded));
  return sum;
}

/// "null" is allowed for pages from files; it lets in more than it seems to.
void warn_of_null(loaded_config& loaded) {
  const auto& allowed = loaded.values.cors.allowed_origins;
  if (std::find(allowed.begin(), allowed.end(), "null") != allowed.end())
    loaded.warnings.push_back(
      "cors.allowed_origins has \"null\", which any page can be in a frame without an origin: it "
      "is treated as \"*\" is, without a browser's credentials");
}

/// A proxy on this machine is one client, unless it is known to be one.
void warn_of_one_client(loaded_config& loaded) {
  const auto& server = loaded.values.server;
  if (server.rate_limit.per_address > 0 && server.trusted_proxies.empty()
      && is_loopback(server.host))
    loaded.warnings.push_back(
      "server.rate_limit.per_address counts all who come through a proxy as one client; name the "
      "proxy in server.trusted_proxies");
}

/// Whether a token was made with phictl: from then on nobody gets in without one.
bool has_tokens(const config& c) {
  std::error_code error;
  return !c.resolved.state_dir.empty()
         && std::filesystem::exists(state_files::path(c.resolved.state_dir, state_files::tokens),
                                    error);
}

} // namespace

environment process_environment() {
  return environment_variables();
}

std::vector<config_problem> check_config(const config& c) {
  std::vector<config_problem> problems;
  auto require = [&](bool holds, std::string text) {
    if (!holds)
      problems.push_back({std::move(text)});
  };
  require(is_loopback(c.server.host) || !c.auth.token.empty() || c.auth.allow_anonymous
            || has_tokens(c),
          "server.host = \"" + c.server.host
            + "\" lets other machines in, and there is no auth.token;"
              " set APP_AUTH_TOKEN_FILE, or listen on 127.0.0.1 and make a token with phictl token "
              "create,"
              " or say auth.allow_anonymous = true");
  require(c.api.prefix.empty() || (c.api.prefix.front() == '/' && c.api.prefix.back() != '/'),
          "api.prefix = \"" + c.api.prefix
            + "\" must begin with / and not end with it, as in /api/v1");
  require(c.server.max_expanded_bytes >= c.server.max_body_bytes,
          "server.max_expanded_bytes must not be less than server.max_body_bytes");
  require(c.stats.max_event_bytes <= c.server.max_expanded_bytes,
          "stats.max_event_bytes must not be more than server.max_expanded_bytes");
  require(c.stats.queue_max_events >= c.stats.max_events_per_request,
          "stats.queue_max_events must not be less than stats.max_events_per_request,"
          " or a full request could never be taken");
  require(c.stats.start_at.empty() || c.resolved.start_at_us.has_value(),
          "stats.start_at = \"" + c.stats.start_at
            + "\" is no RFC 3339 time, such as 2026-01-31T00:00:00Z");
  require(c.server.request_timeout_ms > c.stats.busy_timeout_ms,
          "server.request_timeout_ms must be more than stats.busy_timeout_ms,"
          " or requests give up before the store does");
  for (const auto& origin : c.cors.allowed_origins) {
    auto port = port_too_many(origin);
    require(port.empty(), "cors.allowed_origins = \"" + origin + "\" names the port that browsers "
                            + "leave out; write it without " + std::string{port});
    require(is_origin(origin), "cors.allowed_origins = \"" + origin
                                 + "\" is no origin as browsers send it: a scheme and a host in "
                                   "small letters, and nothing behind, as in https://app.example");
  }
  const auto& s = c.shutdown;
  if (c.resolved.storage == storage_kind::postgres) {
    require(!c.stats.postgres_url.empty(),
            "stats.storage = \"postgres\" needs stats.postgres_url, best given by"
            " APP_STATS_POSTGRES_URL_FILE or the credential stats.postgres_url");
    require(
      c.stats.postgres_connect_timeout_secs * 1000 + c.stats.busy_timeout_ms
        < s.timeout_secs * 1000,
      "stats.postgres_connect_timeout_secs and stats.busy_timeout_ms together must be less than"
      " shutdown.timeout_secs, or a stop could wait for a database that is away");
  }
  auto shares = sum_of_shares(c);
  require(shares < 100, "the shares shutdown.*_budget_percent add up to " + std::to_string(shares)
                          + "; they must stay below 100, the whole of shutdown.timeout_secs");
  require(!s.watchdog.enabled || s.watchdog.interval_secs * 2 <= s.watchdog.timeout_secs,
          "shutdown.watchdog.interval_secs must be at most half of shutdown.watchdog.timeout_secs");
  return problems;
}

loaded_config load_config(const std::string& file, const environment& env) {
  loaded_config out;
  config_loader load{out};
  if (!file.empty())
    load.read_file(file);
  load.read_credentials(variable(env, "CREDENTIALS_DIRECTORY"));
  load.read_environment(env);
  resolve(out.values, env);
  if (out.ok()) {
    out.problems = check_config(out.values);
    name_origins(out);
    warn_of_null(out);
    warn_of_one_client(out);
  }
  return out;
}

void name_origins(loaded_config& loaded) {
  for (auto& problem : loaded.problems) {
    auto origin = loaded.origins.find(problem.text.substr(0, problem.text.find(' ')));
    if (origin != loaded.origins.end() && origin->second != default_origin)
      problem.text.insert(0, origin->second + ": ");
  }
}

} // namespace phi
