#pragma once
/// What phictl prints: tables and colours on a terminal, the same plain elsewhere.

#include "protocol/text/digits.hpp"
#include "protocol/text/terminal_text.hpp"

#include <nlohmann/json_fwd.hpp>

#include <iosfwd>
#include <string>
#include <vector>

namespace phi::ctl {

enum class colour { none, red, green, yellow, grey, bold };

/// Whether stdout is a terminal that wants colours ($NO_COLOR, $TERM).
bool colours_wanted();

/// `text` as a terminal can take it, in a colour if colours are wanted.
std::string paint(colour tint, const std::string& text);

/// The colour of a state: green for good ones, yellow for passing ones, red for bad ones.
colour colour_of_state(const std::string& state);

/// JSON for stdout: always valid and UTF-8, whatever somebody has put into it. `indent` as in dump.
std::string show_json(const nlohmann::ordered_json& what, int indent = -1);

/// JSON that somebody else has written. Discarded (`is_discarded`) when it is none, and when it
/// nests deeper than anybody needs: what prints or copies JSON calls itself for each level.
nlohmann::ordered_json read_json(const std::string& text);
nlohmann::ordered_json read_json(std::istream& from);

/// Rows in columns as wide as their widest cell; the first row is the head. Cells that `paint` did
/// not make are made printable. On a terminal the last
/// column is cut at its width; elsewhere nothing is.
void print_table(const std::vector<std::vector<std::string>>& rows);

/// "1 d 2 h", "3 min 12 s", "0.4 s".
std::string show_seconds(double seconds);

} // namespace phi::ctl
