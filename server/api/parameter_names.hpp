#pragma once
/// What the parameters of questions are called elsewhere.

#include "protocol/text/closest.hpp"

#include <array>
#include <string_view>

namespace phi::api {

/// The parameter that is meant by a name from another program; empty: no such name is known. An
/// endpoint may not have it.
inline std::string_view meant_parameter(std::string_view name) {
  struct other_name {
    std::string_view names; ///< between spaces
    std::string_view parameter;
  };
  constexpr std::array other_names{
    other_name{" from since begin startdate start_date date_from after ", "start"},
    other_name{" to until till enddate end_date date_to before ", "end"},
    other_name{" tz zone time_zone ", "timezone"},
    other_name{" path url uri endpoint page ", "route"},
    other_name{" event name type ", "feature"},
    other_name{" limit n count size rows ", "top"},
    other_name{" http_method verb ", "method"},
    other_name{" fields parts expand with ", "include"},
  };
  if (name.size() > longest_misspelt)
    return {};
  for (const auto& row : other_names)
    if (row.names.find(" " + in_small_letters(name) + " ") != row.names.npos)
      return row.parameter;
  return {};
}

} // namespace phi::api
