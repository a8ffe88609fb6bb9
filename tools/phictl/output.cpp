#include "tools/phictl/output.hpp"

#include "protocol/lifecycle.hpp"
#include "protocol/names.hpp"
#include "protocol/platform/descriptor.hpp"
#include "protocol/platform/terminal.hpp"
#include "protocol/text/json_depth.hpp"
#include "tools/phictl/context.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>

namespace phi::ctl {
namespace {

/// Characters as a terminal counts them: UTF-8 continuation bytes and colours have no width.
size_t width_of(const std::string& text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033') {
      while (i < text.size() && text[i] != 'm')
        ++i;
      continue;
    }
    width += (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
  }
  return width;
}

size_t terminal_width() {
  auto columns = columns_of_terminal(standard_output);
  return columns > 20 ? columns : 0;
}

/// "1 234", "0.5", "12.3 %", "-"; no date.
bool is_number(const std::string& text) {
  return text == "-" || (!text.empty() && text.find_first_not_of("0123456789 .%") == text.npos);
}

/// By column, whether all below its head are numbers.
std::vector<bool> number_columns(const table& rows) {
  std::vector<bool> out;
  for (size_t r = 1; r < rows.size(); ++r)
    for (size_t i = 0; i < rows[r].size(); ++i) {
      out.resize(std::max(out.size(), i + 1), true);
      out[i] = out[i] && is_number(rows[r][i].text());
    }
  return out;
}

shown cut_to(const shown& cell, size_t width) {
  const auto& text = cell.text();
  if (width_of(text) <= width || text.find('\033') != text.npos)
    return cell;
  size_t end = 0;
  for (size_t characters = 0; end < text.size(); ++end)
    if ((static_cast<unsigned char>(text[end]) & 0xc0) != 0x80 && ++characters == width)
      break;
  return text.substr(0, end) + "…";
}

} // namespace

bool colours_wanted() {
  const char* no = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return is_terminal(standard_output) && !(no && *no) && terminal
         && std::strcmp(terminal, "dumb") != 0;
}

shown paint(colour tint, const shown& text) {
  static const bool wanted = colours_wanted();
  static constexpr const char* codes[] = {"", "31", "32", "33", "90", "1"};
  if (!wanted || tint == colour::none)
    return text;
  auto out = text;
  out.text_ =
    std::string{"\033["} + codes[static_cast<size_t>(tint)] + "m" + text.text_ + "\033[0m";
  return out;
}

terminal& terminal::write(std::string_view text) {
  to_ << text;
  return *this;
}

void terminal::flush() {
  errno = 0;
  if (!to_.flush())
    throw failure{exit_status::failed,
                  std::string{"cannot write the output"}
                    + (errno != 0 ? std::string{": "} + std::strerror(errno) : std::string{})};
}

terminal& print() {
  static terminal out{std::cout};
  return out;
}

terminal& warn() {
  static terminal out{std::cerr};
  return out;
}

void print_json(const nlohmann::ordered_json& value, int indent) {
  std::cout << show_json(value, indent) << "\n";
}

nlohmann::ordered_json read_json(const std::string& text) {
  if (nests_deeper(text))
    return nlohmann::ordered_json(nlohmann::ordered_json::value_t::discarded);
  return nlohmann::ordered_json::parse(text, nullptr, false);
}

nlohmann::ordered_json read_json(std::istream& from) {
  return read_json(std::string{std::istreambuf_iterator<char>{from}, {}});
}

std::string show_json(const nlohmann::ordered_json& value, int indent) {
  return printable_json(
    value.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

std::string pack_json(const nlohmann::ordered_json& value) {
  return value.dump();
}

colour colour_of_state(const std::string& state) {
  // Ours, and the states of a unit.
  for (auto good : {to_string(service_state::ready), to_string(actor_state::running),
                    std::string_view{"active"}, std::string_view{"enabled"}})
    if (state == good)
      return colour::green;
  for (auto bad : {to_string(service_state::stopped), to_string(actor_state::gone),
                   std::string_view{"failed"}, std::string_view{"inactive"}})
    if (state == bad)
      return colour::red;
  return colour::yellow;
}

void print_table(const table& rows, alignment align) {
  const auto numbers = align == alignment::left ? std::vector<bool>{} : number_columns(rows);
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      widths.resize(std::max(widths.size(), i + 1));
      widths[i] = std::max(widths[i], width_of(row[i].text()));
    }
  auto room = terminal_width();
  for (size_t r = 0; r < rows.size(); ++r) {
    size_t used = 0;
    for (size_t i = 0; i < rows[r].size(); ++i) {
      bool last = i + 1 == rows[r].size();
      auto cell = rows[r][i];
      if (last && room > used + 10)
        cell = cut_to(cell, room - used);
      bool right = i < numbers.size() && numbers[i];
      auto missing = widths[i] - std::min(widths[i], width_of(cell.text()));
      print() << std::string(right ? missing : 0, ' ');
      print() << (r == 0 ? paint(colour::bold, cell) : cell);
      if (!last)
        print() << std::string((right ? 0 : missing) + 2, ' ');
      used += widths[i] + 2;
    }
    print() << "\n";
  }
}

std::string show_seconds(double seconds) {
  char text[48];
  auto whole = static_cast<long>(seconds);
  if (seconds < 1)
    std::snprintf(text, sizeof text, seconds > 0 && seconds < 0.01 ? "%.1f ms" : "%.0f ms",
                  seconds * 1000);
  else if (seconds < 60)
    std::snprintf(text, sizeof text, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
  else if (whole < 3600)
    std::snprintf(text, sizeof text, "%ld min %ld s", whole / 60, whole % 60);
  else if (whole < 86'400)
    std::snprintf(text, sizeof text, "%ld h %ld min", whole / 3600, whole / 60 % 60);
  else
    std::snprintf(text, sizeof text, "%ld d %ld h", whole / 86'400, whole / 3600 % 24);
  return text;
}

} // namespace phi::ctl
