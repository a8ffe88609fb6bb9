#include "server/http/docs.hpp"

#include "server/api/tokens.hpp"

#include <string>

namespace phi::http {
namespace {

constexpr std::string_view style = R"css(:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:auto;padding:1rem}
code{font:0.95em ui-monospace,monospace;overflow-wrap:anywhere}
section{border-top:1px solid GrayText;padding-bottom:1rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:0.2rem 1rem 0.2rem 0}
)css";

/// The hash is that of `style`; tests/tools/openapi_test.py holds one against the other.
constexpr std::string_view policy =
  "default-src 'none'; style-src 'sha256-mjwg5P1xlwIzsV7hDoRqVJjZQYgeLvb+iEtxjncTlfI=';"
  " base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `text` may be of a configuration: the prefix of the paths.
std::string escaped(std::string_view text) {
  std::string out;
  for (auto letter : text)
    switch (letter) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += letter;
    }
  return out;
}

std::string code(std::string_view text) {
  return "<code>" + escaped(text) + "</code>";
}

std::string help_of(const endpoint_parameter& row) {
  auto out = escaped(row.help);
  if (!row.words.empty())
    out += ": " + code(row.words);
  if (row.type == parameter_type::words)
    out += ", or " + code("all");
  if (row.repeatable)
    out += "; may be given several times";
  if (row.required)
    out += ". <strong>Required</strong>";
  return out;
}

std::string table_of(const endpoint& described) {
  if (described.parameters.empty())
    return {};
  std::string out =
    "<table><tr><th scope=\"col\">Parameter</th><th scope=\"col\">What it says</th></tr>\n";
  for (const auto& row : described.parameters)
    out += "<tr><td>" + code(row.name) + "</td><td>" + help_of(row) + "</td></tr>\n";
  return out + "</table>\n";
}

std::string section_of(const route& shown) {
  const auto& described = *shown.serves;
  auto name = std::string{described.method} + " " + shown.path;
  std::string needs;
  if (described.needs != scope::none)
    needs = "<p>Where there are tokens: one of scope " + code(api::to_string(described.needs))
            + ", as " + code("Authorization: Bearer TOKEN") + ".</p>\n";
  return "<section><h2>" + code(name) + "</h2>\n<p>" + escaped(described.help) + ".</p>\n" + needs
         + table_of(described) + "</section>\n";
}

} // namespace

answer docs_of(const route_table& routes) {
  std::string body = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width\">\n"
                     "<title>Phi-Backend " PHI_VERSION "</title>\n<style>";
  body += style;
  body += "</style></head>\n<body><main><h1>Phi-Backend " PHI_VERSION "</h1>\n"
          "<p>Usage events are taken, stored durably, and each counted once. For programs the same "
          "is at <a href=\"/openapi.json\">/openapi.json</a>.</p>\n";
  for (const auto& shown : routes.all())
    body += section_of(shown);
  body += "</main></body></html>\n";
  return {.body = std::move(body), .type = "text/html; charset=utf-8", .page_policy = policy};
}

} // namespace phi::http
