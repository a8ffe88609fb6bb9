#include "server/api/zone_trouble.hpp"

#include "protocol/text/closest.hpp"
#include "server/statistics/time_zones.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace phi::api {
namespace {

struct abbreviation {
  std::string_view name;
  std::string_view zones;
};

/// What people write who think of the clock on the wall. Many mean several places, which no
/// likeness of letters can tell apart.
constexpr std::array abbreviations{
  abbreviation{"ist", "Asia/Kolkata, Europe/Dublin or Asia/Jerusalem"},
  abbreviation{"cst", "America/Chicago or Asia/Shanghai"},
  abbreviation{"cdt", "America/Chicago"},
  abbreviation{"edt", "America/New_York"},
  abbreviation{"mdt", "America/Denver"},
  abbreviation{"pst", "America/Los_Angeles or Asia/Manila"},
  abbreviation{"pdt", "America/Los_Angeles"},
  abbreviation{"bst", "Europe/London or Asia/Dhaka"},
  abbreviation{"cest", "Europe/Berlin"},
  abbreviation{"eest", "Europe/Helsinki"},
  abbreviation{"west", "Europe/Lisbon"},
  abbreviation{"msk", "Europe/Moscow"},
  abbreviation{"jst", "Asia/Tokyo"},
  abbreviation{"kst", "Asia/Seoul"},
  abbreviation{"hkt", "Asia/Hong_Kong"},
  abbreviation{"sgt", "Asia/Singapore"},
  abbreviation{"brt", "America/Sao_Paulo"},
  abbreviation{"sast", "Africa/Johannesburg"},
  abbreviation{"aest", "Australia/Sydney or Australia/Brisbane"},
  abbreviation{"aedt", "Australia/Sydney"},
  abbreviation{"nzst", "Pacific/Auckland"},
  abbreviation{"z", "UTC"},
};

/// Hours east of UTC of "+2", "UTC+2", "GMT-05:00", "+0530"; half hours have no zone of their own.
struct offset {
  bool is_one = false;
  int hours = 0;
  bool whole = false;
};

offset offset_of(std::string_view text) {
  if (auto start = in_small_letters(text.substr(0, 3)); start == "utc" || start == "gmt")
    text.remove_prefix(3);
  // In a query string a + that was not encoded has become a space.
  if (text.size() < 2 || (text[0] != '+' && text[0] != '-' && text[0] != ' '))
    return {};
  std::string digits;
  for (char c : text.substr(1))
    if (c >= '0' && c <= '9')
      digits += c;
    else if (c != ':')
      return {};
  if (digits.empty() || digits.size() > 4)
    return {};
  auto minutes = digits.size() > 2 ? digits.substr(digits.size() - 2) : std::string{"00"};
  if (digits.size() > 2)
    digits.resize(digits.size() - 2);
  int hours = std::stoi(digits);
  return {true, text[0] == '-' ? -hours : hours, minutes == "00"};
}

/// The zone of a city that is named without its continent: "berlin", "new york".
std::string zone_of_city(const std::string& name) {
  std::string city = in_small_letters(name);
  bool first = true;
  for (char& c : city) {
    if (first && c >= 'a' && c <= 'z')
      c = static_cast<char>(c - 'a' + 'A');
    first = c == ' ' || c == '_' || c == '-';
    if (c == ' ')
      c = '_';
  }
  for (const char* region :
       {"Europe", "America", "Asia", "Africa", "Australia", "Pacific", "Atlantic", "Indian"})
    if (auto zone = std::string{region} + "/" + city; is_time_zone(zone))
      return zone;
  return {};
}

std::string of_offset(const offset& given) {
  std::string out = "an offset is no time zone, because clocks are moved; give a place such as "
                    "Europe/Berlin";
  auto fixed =
    "Etc/GMT" + std::string{given.hours > 0 ? "-" : "+"} + std::to_string(std::abs(given.hours));
  if (given.whole && is_time_zone(fixed))
    out += ", or " + fixed + ", whose sign is the other way round";
  return out;
}

} // namespace

std::string what_is_wrong_with_zone(const std::string& name) {
  if (name.empty())
    return "the time zone is empty; give a name such as Europe/Berlin";
  auto with_plus = name;
  std::replace(with_plus.begin(), with_plus.end(), ' ', '+');
  if (with_plus != name && is_time_zone(with_plus))
    return "unknown time zone; in a query string + stands for a space: write "
           + with_plus.replace(with_plus.find('+'), 1, "%2B");
  if (auto offset = offset_of(name); offset.is_one)
    return of_offset(offset);
  auto small = in_small_letters(name.substr(0, longest_misspelt + 1));
  for (const auto& [abbreviated, zones] : abbreviations)
    if (small == abbreviated)
      return "unknown time zone; " + name + " may be " + std::string{zones};
  std::string unknown = "unknown time zone";
  if (name.size() <= longest_misspelt)
    if (auto city = zone_of_city(name); !city.empty())
      return unknown + "; did you mean " + city + "?";
  // Abbreviations are all alike.
  constexpr size_t longest_abbreviation = 4;
  auto best = closest_time_zone(name);
  if (best.empty() || (name.size() <= longest_abbreviation && in_small_letters(best) != small))
    return unknown + ", expected an IANA name such as Europe/Berlin";
  return unknown + "; did you mean " + best + "?";
}

} // namespace phi::api
