#include "tools/phictl/output.hpp"

#include "protocol/text/json_depth.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>
#include <sys/ioctl.h>
#include <unistd.h>

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
  winsize size{};
  if (::isatty(STDOUT_FILENO) && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
    return size.ws_col;
  return 0;
}

constexpr std::string_view end_of_colour = "\033[0m";

/// A cell of a table: what `paint` made has colours, all else has none.
std::string shown_cell(const std::string& text) {
  auto begin = text.find('m');
  if (!colours_wanted() || !text.starts_with("\033[") || !text.ends_with(end_of_colour)
      || begin == text.npos || text.size() < begin + 1 + end_of_colour.size())
    return printable(text);
  auto inner = text.substr(begin + 1, text.size() - begin - 1 - end_of_colour.size());
  return text.substr(0, begin + 1).find_first_not_of("\033[0123456789m") == text.npos
           ? text.substr(0, begin + 1) + printable(inner) + std::string{end_of_colour}
           : printable(text);
}

std::string cut_to(const std::string& text, size_t width) {
  if (width_of(text) <= width || text.find('\033') != text.npos)
    return text;
  std::string out;
  for (size_t i = 0; i < text.size() && width_of(out) + 1 < width; ++i)
    out += text[i];
  while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80)
    out.pop_back();
  return out + "…";
}

} // namespace

bool colours_wanted() {
  const char* no = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) && !(no && *no) && terminal && std::strcmp(terminal, "dumb") != 0;
}

std::string paint(colour tint, const std::string& text) {
  static const bool wanted = colours_wanted();
  static constexpr const char* codes[] = {"", "31", "32", "33", "90", "1"};
  if (!wanted || tint == colour::none)
    return printable(text);
  return std::string{"\033["} + codes[static_cast<size_t>(tint)] + "m" + printable(text)
         + std::string{end_of_colour};
}

nlohmann::ordered_json read_json(const std::string& text) {
  if (nests_deeper(text))
    return nlohmann::ordered_json(nlohmann::ordered_json::value_t::discarded);
  return nlohmann::ordered_json::parse(text, nullptr, false);
}

nlohmann::ordered_json read_json(std::istream& from) {
  return read_json(std::string{std::istreambuf_iterator<char>{from}, {}});
}

std::string show_json(const nlohmann::ordered_json& what, int indent) {
  return printable_json(
    what.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

colour colour_of_state(const std::string& state) {
  for (auto good : {"ready", "running", "active", "ok", "enabled"})
    if (state == good)
      return colour::green;
  for (auto bad : {"forced", "gone", "failed", "inactive", "stopped", "late"})
    if (state == bad)
      return colour::red;
  return colour::yellow;
}

void print_table(const std::vector<std::vector<std::string>>& raw) {
  auto rows = raw;
  for (auto& row : rows)
    for (auto& cell : row)
      cell = shown_cell(cell);
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      widths.resize(std::max(widths.size(), i + 1));
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  auto room = terminal_width();
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    size_t used = 0;
    for (size_t i = 0; i < rows[r].size(); ++i) {
      bool last = i + 1 == rows[r].size();
      auto cell = last && room > used + 10 ? cut_to(rows[r][i], room - used) : rows[r][i];
      line += r == 0 ? paint(colour::bold, cell) : cell;
      if (!last)
        line += std::string(widths[i] - width_of(cell) + 2, ' ');
      used += widths[i] + 2;
    }
    std::cout << line << "\n";
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
