#pragma once
/// What phictl prints: with colours on a terminal, the same plain elsewhere. The one way to stdout
/// and stderr: what others wrote steers no terminal, whoever prints it.

#include "protocol/text/digits.hpp"
#include "protocol/text/terminal_text.hpp"

#include <nlohmann/json_fwd.hpp>

#include <concepts>
#include <iosfwd>
#include <string>
#include <string_view>

namespace phi::ctl {

enum class colour { none, red, green, yellow, grey, bold };

/// Text as a terminal can take it: made `printable`, perhaps with a colour of ours around it.
class shown {
public:
  shown(const std::string& text) : text_(printable(text)) {}
  shown(const char* text) : text_(printable(text)) {}

  const std::string& text() const { return text_; }

  friend shown paint(colour tint, const shown& text);
  friend shown operator+(shown left, const shown& right) {
    left.text_ += right.text_;
    return left;
  }

private:
  std::string text_;
};

/// Whether stdout is a terminal that wants colours ($NO_COLOR, $TERM).
bool colours_wanted();

/// In a colour, if colours are wanted.
shown paint(colour tint, const shown& text);

/// Stdout or stderr. Nothing gets there that could steer a terminal but what is in our source.
class terminal {
public:
  explicit terminal(std::ostream& to) : to_(to) {}
  terminal(const terminal&) = delete;

  /// Words of ours, which stand in our source: they may break lines and move the cursor.
  template <size_t Size>
  terminal& operator<<(const char (&words)[Size]) {
    return write(words);
  }
  template <size_t Size>
  terminal& operator<<(char (&)[Size]) = delete; // filled by somebody
  /// Text that may be somebody else's, on one line.
  template <std::same_as<const char*> Text>
  terminal& operator<<(const Text& text) {
    return *this << shown{text};
  }
  terminal& operator<<(const std::string& text) { return *this << shown{text}; }
  terminal& operator<<(const shown& text) { return write(text.text()); }
  template <std::integral Number>
  requires(sizeof(Number) > 1) // no character, no truth
    terminal&
    operator<<(Number number) {
    return *this << shown{std::to_string(number)};
  }
  /// Throws `failure` when something that was printed could not be written.
  void flush();

private:
  friend void print_json(const nlohmann::ordered_json& value, int indent);
  terminal& write(std::string_view text);

  std::ostream& to_;
  int error_ = 0; ///< errno of the first write that failed; 0: none, or not known
};

terminal& print(); ///< to stdout
terminal& warn();  ///< to stderr

/// JSON and the end of a line to stdout; `indent` as in `show_json`.
void print_json(const nlohmann::ordered_json& value, int indent = -1);

/// The colour of a state: green for good ones, yellow for passing ones, red for bad ones.
colour colour_of_state(const std::string& state);

/// JSON that a terminal can take: always valid and UTF-8, whatever somebody has put into it, and
/// the same JSON. `indent`: blanks a level; -1: on one line.
std::string show_json(const nlohmann::ordered_json& value, int indent = -1);

/// JSON for a file or the service, on one line, as it is. Throws when a text in it is no UTF-8.
std::string pack_json(const nlohmann::ordered_json& value);

/// JSON that somebody else has written. Discarded (`is_discarded`) when it is none, and when it
/// nests deeper than anybody needs: what prints or copies JSON calls itself for each level.
nlohmann::ordered_json read_json(const std::string& text);
nlohmann::ordered_json read_json(std::istream& from);

/// "1 d 2 h", "3 min 12 s", "0.4 s".
std::string show_seconds(double seconds);

} // namespace phi::ctl
