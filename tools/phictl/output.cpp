#include "tools/phictl/output.hpp"

#include "protocol/lifecycle.hpp"
#include "protocol/names.hpp"
#include "protocol/platform/descriptor.hpp"
#include "protocol/platform/terminal.hpp"
#include "protocol/text/json_depth.hpp"
#include "tools/phictl/context.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>

namespace phi::ctl {

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
  if (!to_.good())
    return *this;
  errno = 0;
  to_ << text;
  if (!to_.good())
    error_ = errno; // of what it had kept so far
  return *this;
}

void terminal::flush() {
  errno = 0;
  if (to_.flush())
    return;
  const int error = error_ != 0 ? error_ : errno;
  throw failure{exit_status::failed,
                std::string{"cannot write the output"}
                  + (error != 0 ? std::string{": "} + std::strerror(error) : std::string{})};
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
  print().write(show_json(value, indent) + "\n");
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
