#include "server/api/json_trouble.hpp"

#include "protocol/text/json_text.hpp"
#include "server/api/array_parts.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>

namespace phi::api {
namespace {

/// simdjson does not say where it stopped. This reader does; it keeps nothing of what it reads.
class fault_finder : public nlohmann::json_sax<nlohmann::json> {
public:
  explicit fault_finder(std::string_view text) : text_(text) {}
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t read, const std::string& last,
                   const nlohmann::json::exception& why) override {
    auto end = std::min(read, text_.size());
    std::string_view says = why.what();
    says = says.substr(0, says.find("; last read: '")); // what follows is the sender's
    if (says.find("unexpected end of input") != says.npos)
      at = text_.size();
    else if (last.size() <= end
             && (is_one_string(last) || says.find("invalid string") != says.npos))
      at = end - last.size();
    else
      at = begin_of_word(end, says.find("invalid literal") != says.npos);
    return false;
  }

  std::optional<size_t> at;

private:
  /// What the reader has last read may begin before the word that it stopped at.
  static bool is_one_string(std::string_view last) {
    return last.starts_with('"') && end_of_json_string(last, 0) == last.size() - 1;
  }

  /// Of a number, a literal, or a single other character that ends there.
  /// `or_before`: or of the word before that character.
  size_t begin_of_word(size_t end, bool or_before) const {
    auto is_part = [&](size_t i) {
      auto c = static_cast<unsigned char>(text_[i]);
      return std::isalnum(c) || c == '.' || c == '-' || c == '+';
    };
    auto begin = std::max<size_t>(end, 1) - 1;
    if (or_before && begin > 0 && !is_part(begin) && is_part(begin - 1))
      --begin;
    while (begin > 0 && is_part(begin) && is_part(begin - 1))
      --begin;
    return begin;
  }

  std::string_view text_;
};

bool is_value_error(simdjson::error_code code) {
  return code == simdjson::NUMBER_ERROR || code == simdjson::STRING_ERROR
         || code == simdjson::UTF8_ERROR || code == simdjson::UNESCAPED_CHARS
         || code == simdjson::DEPTH_ERROR;
}

/// " at line 2, column 16, near ...": lines and characters from 1.
std::string in_words(std::string_view text, size_t at) {
  constexpr size_t longest_excerpt = 20;
  if (text.find_first_not_of(" \t\r\n", at) == text.npos)
    return ": it ends too early, after " + std::to_string(text.size()) + " bytes";
  auto before = text.substr(0, at);
  auto line = std::count(before.begin(), before.end(), '\n') + 1;
  auto begin = before.rfind('\n') + 1; // npos + 1 is 0
  auto column = std::count_if(before.begin() + static_cast<std::ptrdiff_t>(begin), before.end(),
                              [](char c) { return (c & 0xc0) != 0x80; })
                + 1;
  auto excerpt = text.substr(at, std::min(text.find_first_of("\r\n", at), text.size()) - at);
  auto end = std::min(longest_excerpt, excerpt.size());
  while (end < excerpt.size() && end > 0 && (excerpt[end] & 0xc0) == 0x80)
    --end; // not within a character
  return ", at line " + std::to_string(line) + ", column " + std::to_string(column) + ": "
         + std::string{excerpt.substr(0, end)} + (end < excerpt.size() ? "..." : "");
}

std::string kind_of_fault(simdjson::error_code code, std::string_view text) {
  if (!is_value_error(code) && is_about_value(code, text))
    return "JSON has no NaN and no Infinity; leave the field out, or send null";
  switch (code) {
    case simdjson::UTF8_ERROR: return "the body is not valid UTF-8";
    case simdjson::NUMBER_ERROR: return "a number is malformed or too large";
    case simdjson::STRING_ERROR: return "a string holds a bad escape or half a surrogate pair";
    case simdjson::UNESCAPED_CHARS:
      return "a string holds a control character that must be escaped";
    case simdjson::UNCLOSED_STRING: return "a string is not closed";
    default: return "the JSON is malformed";
  }
}

} // namespace

error_code code_of(simdjson::error_code code) {
  return code == simdjson::DEPTH_ERROR ? error_code::too_deep : error_code::invalid_json;
}

bool is_about_value(simdjson::error_code code, std::string_view text) {
  return is_value_error(code)
         || ((code == simdjson::TAPE_ERROR || code == simdjson::N_ATOM_ERROR)
             && holds_no_number(text));
}

std::optional<size_t> place_of_fault(std::string_view text) {
  fault_finder finder{text};
  nlohmann::json::sax_parse(text.begin(), text.end(), &finder);
  return finder.at;
}

std::string what_is_wrong(simdjson::error_code code, std::string_view text, bool search) {
  if (code == simdjson::EMPTY)
    return "there is no JSON value";
  if (code == simdjson::DEPTH_ERROR)
    return "the JSON is nested deeper than " + std::to_string(deepest_json) + " levels";
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
    return "the body is UTF-16; JSON is sent as UTF-8";
  auto at = search ? place_of_fault(text) : std::nullopt;
  return kind_of_fault(code, text) + (at ? in_words(text, *at) : std::string{});
}

} // namespace phi::api
