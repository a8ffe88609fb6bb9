#pragma once
/// The HTTP protocol binding of CloudEvents 1.0: which mode a request is in, and what its header
/// says of an event in binary mode.

#include "protocol/errors.hpp"
#include "server/api/cloud_event.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace phi::http {

/// A header field `ce-...`, as it came; views into the request.
struct raw_cloud_attribute {
  std::string_view name; ///< without `ce-`
  std::string_view value;
};

/// The name of an attribute, if a header field is one.
bool is_cloud_field(std::string_view field_name);

/// Whether they make a request one in binary mode: a single one of those that are required is
/// enough, so that a sender who forgot the others is told, and not counted twice.
bool is_binary_mode(std::span<const raw_cloud_attribute> fields);

struct cloud_attributes {
  error_code error = error_code::none;
  std::string detail;
  std::vector<api::cloud_attribute> list;
};

/// Undoes quotes and percent-encoding (section 3.1.3.2).
cloud_attributes decode(std::span<const raw_cloud_attribute> fields);

} // namespace phi::http
