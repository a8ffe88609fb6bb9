#include "tools/phictl/tables.hpp"

#include "protocol/platform/descriptor.hpp"
#include "protocol/platform/terminal.hpp"

#include <algorithm>
#include <numeric>
#include <sstream>

namespace phi::ctl {
namespace {

constexpr size_t gap = 2; // between two columns

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

/// Characters as a terminal counts them: UTF-8 continuation bytes and colours have no width.
size_t width_of(const std::string& text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033') {
      while (i < text.size() && text[i] != 'm')
        ++i;
      continue;
    }
    width += begins_character(text[i]);
  }
  return width;
}

/// 0: there is no terminal, or none that says how wide it is.
size_t terminal_width() {
  auto columns = columns_of_terminal(standard_output);
  return columns > 20 ? columns : 0;
}

/// "1 234", "0.5", "12.3 %", "-"; no date.
bool is_number(const std::string& text) {
  return text == "-" || (!text.empty() && text.find_first_not_of("0123456789 .%") == text.npos);
}

/// By column, whether all below the `heads` are numbers.
std::vector<bool> number_columns(const table& rows, size_t heads) {
  std::vector<bool> out;
  for (size_t r = heads; r < rows.size(); ++r)
    for (size_t i = 0; i < rows[r].size(); ++i) {
      out.resize(std::max(out.size(), i + 1), true);
      out[i] = out[i] && is_number(rows[r][i].text());
    }
  return out;
}

std::vector<size_t> widths_of(const table& rows) {
  std::vector<size_t> out;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      out.resize(std::max(out.size(), i + 1));
      out[i] = std::max(out[i], width_of(row[i].text()));
    }
  return out;
}

size_t width_together(const std::vector<size_t>& widths) {
  return std::accumulate(widths.begin(), widths.end(), gap * widths.size())
         - (widths.empty() ? 0 : gap);
}

/// Where the character number `count` begins.
size_t bytes_of(const std::string& text, size_t count) {
  size_t at = 0;
  for (; at < text.size(); ++at)
    if (begins_character(text[at]) && count-- == 0)
      break;
  return at;
}

/// Cells with a colour are as they are.
bool fits(const shown& cell, size_t width) {
  return width_of(cell.text()) <= width || cell.text().find('\033') != std::string::npos;
}

shown cut_to(const shown& cell, size_t width) {
  const auto& text = cell.text();
  return fits(cell, width) ? cell : text.substr(0, bytes_of(text, width - 1)) + "…";
}

/// The same without its middle: names that differ often do so at their end.
shown shortened_to(const shown& cell, size_t width) {
  const auto& text = cell.text();
  if (fits(cell, width))
    return cell;
  auto end = (width - 1) / 2;
  return text.substr(0, bytes_of(text, width - 1 - end)) + "…"
         + text.substr(bytes_of(text, width_of(text) - end));
}

/// The first `heads` rows are the head. `room`: the last column is cut there; 0: it is not.
void print_rows(const table& rows, size_t heads, const std::vector<bool>& numbers, size_t room) {
  const auto widths = widths_of(rows);
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
      print() << (r < heads ? paint(colour::bold, cell) : cell);
      if (!last)
        print() << std::string((right ? 0 : missing) + gap, ' ');
      used += widths[i] + gap;
    }
    print() << "\n";
  }
}

// -- columns that do not fit side by side ---------------------------------------------------------

/// The words of a head, in lines that are no longer than `width` or the longest word.
std::vector<std::string> lines_of(const std::string& head, size_t width) {
  std::vector<std::string> out;
  std::istringstream words{head};
  for (std::string word; words >> word;)
    if (!out.empty() && out.back().size() + 1 + word.size() <= width)
      out.back() += " " + word;
    else
      out.push_back(word);
  return out;
}

/// Breaks the head where it is wider than what is below it. Returns how many rows it has then.
size_t break_head(table& rows) {
  const auto widths = widths_of({rows.begin() + 1, rows.end()});
  std::vector<std::vector<std::string>> heads;
  size_t most = 1;
  for (size_t i = 0; i < rows[0].size(); ++i) {
    heads.push_back(lines_of(rows[0][i].text(), i < widths.size() ? widths[i] : 0));
    most = std::max(most, heads.back().size());
  }
  table head(most);
  for (size_t line = 0; line < most; ++line)
    for (const auto& lines : heads) {
      auto above = most - lines.size();
      head[line].emplace_back(line < above ? std::string{} : lines[line - above]);
    }
  rows.erase(rows.begin());
  rows.insert(rows.begin(), head.begin(), head.end());
  return most;
}

/// Makes the widest of the names so short that the numbers have half of the room beside them, or
/// what they need. Whether that was too long.
bool shorten_names(table& rows, size_t names, size_t room) {
  constexpr size_t least = 8;
  const auto widths = widths_of(rows);
  if (names == 0 || widths.size() <= names)
    return false;
  const auto first_number = widths.begin() + static_cast<std::ptrdiff_t>(names);
  const auto widest_number = *std::max_element(first_number, widths.end());
  const auto of_numbers =
    std::min(width_together({first_number, widths.end()}), std::max(room / 2, widest_number));
  const auto needed = width_together({widths.begin(), first_number}) + gap + of_numbers;
  const auto widest = std::max_element(widths.begin(), first_number);
  if (needed <= room || *widest <= least)
    return false;
  const auto column = static_cast<size_t>(widest - widths.begin());
  const auto width = *widest - std::min(needed - room, *widest - least);
  for (auto& row : rows)
    row[column] = shortened_to(row[column], width);
  return true;
}

/// The names and the columns from `first` to before `last`.
table part_of(const table& rows, size_t names, size_t first, size_t last) {
  table out;
  for (const auto& row : rows) {
    auto& to = out.emplace_back(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(names));
    to.insert(to.end(), row.begin() + static_cast<std::ptrdiff_t>(first),
              row.begin() + static_cast<std::ptrdiff_t>(last));
  }
  return out;
}

void print_in_parts(table rows, size_t names, size_t room) {
  const auto columns = widths_of(rows).size();
  for (auto& row : rows) // whoever answers may leave fields out
    row.resize(columns, shown{""});
  const auto heads = break_head(rows);
  const bool shortened = shorten_names(rows, names, room);
  const auto widths = widths_of(rows);
  for (size_t first = names; first < widths.size();) {
    auto used = std::accumulate(widths.begin(), widths.begin() + static_cast<std::ptrdiff_t>(names),
                                gap * names);
    auto last = first;
    while (last < widths.size() && (last == first || used + widths[last] <= room))
      used += widths[last++] + gap;
    if (first > names)
      print() << "\n";
    const auto part = part_of(rows, names, first, last);
    print_rows(part, heads, number_columns(part, heads), 0);
    first = last;
  }
  if (shortened)
    print() << paint(colour::grey, "… names are shortened; --json and a pipe have them whole")
            << "\n";
}

} // namespace

void print_table(const table& rows) {
  print_rows(rows, 1, {}, terminal_width());
}

void print_numbers(const table& rows, size_t names) {
  const auto room = terminal_width();
  const auto widths = widths_of(rows);
  if (room == 0 || width_together(widths) <= room || widths.size() <= names)
    print_rows(rows, 1, number_columns(rows, 1), 0);
  else
    print_in_parts(rows, names, room);
}

void print_bars(table rows, const std::vector<uint64_t>& counts, size_t names) {
  constexpr size_t shortest = 8;
  const auto room = terminal_width();
  const auto used = width_together(widths_of(rows)) + gap;
  const auto width = room == 0 ? longest_bar : std::min(longest_bar, room - std::min(room, used));
  if (width < shortest)
    return print_numbers(rows, names);
  uint64_t most = 1;
  for (auto count : counts)
    most = std::max(most, count);
  rows[0].push_back("");
  for (size_t i = 0; i < counts.size(); ++i)
    rows[i + 1].push_back(
      bar_of(static_cast<double>(counts[i]) / static_cast<double>(most), width));
  print_rows(rows, 1, number_columns(rows, 1), 0);
}

shown bar_of(double share, size_t width) {
  static constexpr const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  auto parts = static_cast<size_t>(share * static_cast<double>(width) * 8 + 0.5);
  std::string out;
  for (size_t i = 0; i < parts / 8; ++i)
    out += "█";
  return paint(colour::green, out + eighths[parts % 8]);
}

} // namespace phi::ctl
