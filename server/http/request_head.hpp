#pragma once
/// The head of a request that RESTinio does not hand out, because its body has not come.

#include "server/http/request_handler.hpp"

#include <string>
#include <string_view>

namespace phi::http {

struct request_head {
  request_fields fields;
  std::string_view request_id; ///< X-Request-Id
  std::string forwarded_for;   ///< X-Forwarded-For, its lines as one
};

/// `head`: the lines of a request that `strict_lines` has taken, up to the empty one. The result is
/// of views into it, but for forwarded_for.
request_head read_head(std::string_view head);

} // namespace phi::http
