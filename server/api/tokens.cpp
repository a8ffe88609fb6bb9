#include "server/api/tokens.hpp"

#include "protocol/durable_file.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/platform/digest.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace phi::api {
namespace {

using json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 4> scope_names{"none", "ingest", "read", "admin"};

json to_json(const token& kept) {
  json scopes = json::array();
  for (auto granted : kept.scopes)
    scopes.push_back(to_string(granted));
  json out{{"id", kept.id},
           {"name", kept.name},
           {"scopes", std::move(scopes)},
           {"digest", kept.digest},
           {"created", format_rfc3339(kept.created_us)}};
  if (kept.expires_us)
    out["expires"] = format_rfc3339(*kept.expires_us);
  return out;
}

token from_json(const json& row) {
  token out{.id = row.at("id"), .name = row.at("name"), .digest = row.at("digest")};
  for (const auto& name : row.at("scopes"))
    if (auto granted = parse_scope(name.get<std::string>()))
      out.scopes.push_back(*granted);
  out.created_us = parse_rfc3339(row.at("created").get<std::string>()).value_or(0);
  if (row.contains("expires")) {
    out.expires_us = parse_rfc3339(row["expires"].get<std::string>());
    if (!out.expires_us)
      throw std::runtime_error("token " + out.id + " has no valid time in \"expires\"");
  }
  return out;
}

} // namespace

std::optional<scope> parse_scope(std::string_view text) {
  for (size_t i = 1; i < scope_names.size(); ++i)
    if (scope_names[i] == text)
      return static_cast<scope>(i);
  return std::nullopt;
}

std::string_view to_string(scope granted) {
  return scope_names[static_cast<size_t>(granted)];
}

outcome check_token_name(std::string_view name) {
  constexpr size_t longest = 64;
  if (name.find_first_not_of(' ') == name.npos)
    return outcome::failure("a token needs a name, so that you know later whose it is");
  bool control = std::any_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (control || name.size() > longest)
    return outcome::failure("the name of a token may have up to " + std::to_string(longest)
                            + " bytes, none of them a control character");
  return {};
}

token_store::token_store(std::string file)
  : file_(std::move(file)),
    tokens_(std::make_shared<std::vector<token>>()) {
  std::error_code error;
  if (!std::filesystem::exists(file_, error) && !error)
    return;
  needed_ = true;
  if (error) {
    loaded_ = outcome::failure("cannot read the tokens in " + file_ + ": " + error.message());
    return;
  }
  try {
    std::ifstream in{file_};
    auto tokens = std::make_shared<std::vector<token>>();
    const auto whole = json::parse(in);
    for (const auto& row : whole.at("tokens"))
      tokens->push_back(from_json(row));
    tokens_ = std::move(tokens);
  } catch (const std::exception& e) {
    loaded_ = outcome::failure("cannot read the tokens in " + file_ + ": " + e.what()
                               + "; correct the file, or remove it to begin anew");
  }
}

token_store::snapshot token_store::all() const {
  std::lock_guard lock{mutex_};
  return tokens_;
}

result<token_store::created> token_store::create(std::string name, std::vector<scope> scopes,
                                                 std::optional<int64_t> expires_us) {
  created out{.secret = "phi_" + random_hex(32)};
  out.kept = {.id = random_hex(4),
              .name = std::move(name),
              .scopes = std::move(scopes),
              .digest = hex_digest(out.secret),
              .created_us = wall_clock_us(),
              .expires_us = expires_us};
  std::lock_guard lock{mutex_};
  auto next = std::make_shared<std::vector<token>>(*tokens_);
  next->push_back(out.kept);
  if (auto saved = save(*next); !saved)
    return saved;
  tokens_ = std::move(next);
  needed_ = true;
  return out;
}

outcome token_store::revoke(const std::string& id) {
  std::lock_guard lock{mutex_};
  auto next = std::make_shared<std::vector<token>>(*tokens_);
  if (std::erase_if(*next, [&](const token& kept) { return kept.id == id; }) == 0)
    return outcome::failure("there is no token " + id + "; see: phictl token list");
  if (auto saved = save(*next); !saved)
    return saved;
  tokens_ = std::move(next);
  return {};
}

outcome token_store::save(const std::vector<token>& tokens) const {
  json rows = json::array();
  for (const auto& kept : tokens)
    rows.push_back(to_json(kept));
  return write_durably(file_, json{{"tokens", std::move(rows)}}.dump(2) + "\n");
}

} // namespace phi::api
