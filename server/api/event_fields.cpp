#include "server/api/event_fields.hpp"

#include "protocol/text/closest.hpp"

#include <array>
#include <cstring>
#include <vector>

namespace phi::api {
namespace {

constexpr auto field_count = static_cast<size_t>(event_field::none);

constexpr std::array<std::string_view, field_count> field_names{
  "id",     "source",     "time", "feature",  "action",   "route",    "method",
  "status", "durationMs", "user", "userHash", "userKind", "instance", "extra",
};

struct other_name {
  std::string_view names; ///< between spaces, in small letters and nothing else
  std::string_view hint;
};

/// What other programs call the same thing. The likeness of letters would lead elsewhere: from `ip`
/// to `id`, from `timestamp` to nothing.
constexpr std::array other_names{
  other_name{" timestamp ts datetime date at when createdat occurredat eventtime ",
             "did you mean time?"},
  other_name{" statuscode httpstatus httpstatuscode responsecode responsestatus code ",
             "did you mean status?"},
  other_name{" path url uri endpoint page pathname ", "did you mean route?"},
  other_name{" duration latency latencyms elapsed elapsedms responsetime responsetimems took tookms"
             " ms durationmillis durationseconds latencyseconds ",
             "did you mean durationMs, a number of milliseconds?"},
  other_name{" userid uid username distinctid account accountid ", "did you mean user?"},
  other_name{" usertype userrole ", "did you mean userKind?"},
  other_name{" event eventname eventtype name type metric ", "did you mean feature?"},
  other_name{" httpmethod requestmethod verb ", "did you mean method?"},
  other_name{" operation op ", "did you mean action?"},
  other_name{" host hostname server node pod ", "did you mean instance?"},
  other_name{" eventid uuid messageid insertid idempotencykey ", "did you mean id?"},
  other_name{" service app producer ", "did you mean source?"},
  other_name{" properties props data meta metadata attributes tags labels context payload fields ",
             "did you mean extra?"},
  other_name{" ip ipaddress clientip remoteip remoteaddr address ",
             "an event has no address: the service knows those of its own clients, from their "
             "connections; say whose event it is with user"},
  other_name{" events items records batch list ",
             "send the array itself, without an object around it"},
  other_name{" specversion datacontenttype dataschema ",
             "is this a CloudEvent? Then send it as application/cloudevents+json"},
};

/// "statuscode" of status_code, statusCode and @Status-Code.
std::string letters_of(std::string_view name) {
  std::string out;
  for (char c : in_small_letters(name))
    if (c != '_' && c != '-' && c != '@' && c != '.' && c != ' ')
      out += c;
  return out;
}

} // namespace

std::string_view name_of(event_field which) {
  return field_names[static_cast<size_t>(which)];
}

event_field find_event_field(std::string_view name) {
  // Lengths first: this is on the way of every field of every event.
  for (uint8_t i = 0; i < field_count; ++i)
    if (field_names[i].size() == name.size()
        && std::memcmp(field_names[i].data(), name.data(), name.size()) == 0)
      return static_cast<event_field>(i);
  return event_field::none;
}

std::string hint_for_field(std::string_view name) {
  constexpr std::string_view nothing_near = "put fields of your own into extra";
  if (name.size() > longest_misspelt)
    return std::string{nothing_near};
  auto letters = letters_of(name);
  for (const auto& row : other_names)
    if (row.names.find(" " + letters + " ") != row.names.npos)
      return std::string{row.hint};
  static const std::vector<std::string> known(field_names.begin(), field_names.end());
  // Of two letters one would be enough to be like `id`.
  auto best = letters.size() > 2 ? closest(letters, known) : std::string{};
  return best.empty() ? std::string{nothing_near} : "did you mean " + best + "?";
}

} // namespace phi::api
