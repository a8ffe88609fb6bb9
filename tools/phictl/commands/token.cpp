#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/tables.hpp"

#include <CLI/CLI.hpp>

#include <memory>
#include <optional>

namespace phi::ctl {
namespace {

/// Seconds of "90d", "12h", "30m" or "45s"; nothing for any other text.
std::optional<int64_t> seconds_of(const std::string& text) {
  size_t used = 0;
  int64_t number = 0;
  try {
    number = std::stoll(text, &used);
  } catch (const std::exception&) {
    return std::nullopt;
  }
  auto unit = text.substr(used);
  int64_t factor = unit == "d"   ? 86'400
                   : unit == "h" ? 3600
                   : unit == "m" ? 60
                   : unit == "s" ? 1
                                 : 0;
  if (factor == 0 || number <= 0 || number > admin_wire::longest_token_life_s / factor)
    return std::nullopt;
  return number * factor;
}

std::string scopes_of(const json& row) {
  std::string out;
  for (const auto& scope : row["scopes"])
    out += (out.empty() ? "" : ", ") + scope.get<std::string>();
  return out;
}

struct token_create_options {
  std::string name;
  std::vector<std::string> scopes;
  std::string expires;
  bool confirmed = false;
};

void create_token(const command_context& context, const token_create_options& options) {
  json params{{"name", options.name}, {"scopes", options.scopes}, {"confirmed", options.confirmed}};
  if (!options.expires.empty()) {
    auto seconds = seconds_of(options.expires);
    if (!seconds)
      throw failure{exit_status::usage, "--expires: expected a time such as 90d, 12h, 30m or 45s"};
    params["expiresInSeconds"] = *seconds;
  }
  auto made = ask(context, admin_wire::method_token_create, params);
  if (context.json) {
    print_json(made);
    return;
  }
  // The secret alone on stdout, for pipes; it is shown this once.
  try {
    print() << made.value("secret", "") << "\n";
    print().flush();
  } catch (const failure& e) {
    ask(context, admin_wire::method_token_revoke, {{"id", made["id"]}});
    throw failure{e.status(), std::string{e.what()} + ": nobody has the token, so it is revoked"};
  }
  warn() << "Token " << made.value("id", "?") << " (" << scopes_of(made) << ")"
         << (made.contains("expires") ? ", until " + made["expires"].get<std::string>() : "")
         << ". It is not kept: store it now.\n";
  if (made.contains("notice"))
    warn() << "Note: " << made["notice"].get<std::string>() << ".\n";
}

void list_tokens(const command_context& context) {
  auto answer = ask(context, admin_wire::method_token_list, json::object());
  if (context.json) {
    print_json(answer["tokens"], 2);
    return;
  }
  table rows{{"ID", "NAME", "SCOPES", "CREATED", "EXPIRES"}};
  for (const auto& token : answer["tokens"])
    rows.push_back(
      {token.value("id", "?"), token.value("name", ""), scopes_of(token),
       token.value("created", ""),
       token.value("expires", "never") + (token.value("expired", false) ? " (over)" : "")});
  print_table(rows);
}

} // namespace

void add_token(CLI::App& app, command_context& context) {
  auto* token = app.add_subcommand("token", "Make and revoke tokens for the HTTP interface");
  token->require_subcommand(1);
  token->footer("Example: phictl token create --name web --scope ingest --expires 90d");
  auto options = std::make_shared<token_create_options>();
  auto* making =
    token->add_subcommand("create", "Make a token; from the first on, tokens are needed");
  making->add_option("--name", options->name, "Whose it is")->required();
  making->add_option("--scope", options->scopes, "What it allows; may be repeated")
    ->required()
    ->check(CLI::IsMember({"ingest", "read", "admin"}));
  making->add_option("--expires", options->expires, "After how long, such as 90d or 12h");
  making->add_flag("--yes", options->confirmed,
                   "Also when clients that have no token are locked out by the first one");
  making->footer("Example: phictl token create --name web --scope ingest --expires 90d")
    ->callback([&context, options] { create_token(context, *options); });
  token->add_subcommand("list", "Show the tokens, without their secrets")
    ->footer("Example: phictl token list")
    ->callback([&context] { list_tokens(context); });
  auto id = std::make_shared<std::string>();
  auto* revoking = token->add_subcommand("revoke", "Make a token worthless, at once");
  revoking->add_option("ID", *id, "Its id, as in the list")->required();
  revoking->footer("Example: phictl token revoke 1a2b3c4d")->callback([&context, id] {
    ask(context, admin_wire::method_token_revoke, {{"id", *id}});
    print() << "Token " << *id << " is revoked\n";
  });
}

} // namespace phi::ctl
