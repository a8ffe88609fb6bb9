#pragma once
/// The methods of the admin socket, one function each. For admin*.cpp only.

#include "actors/admin.hpp"

#include <nlohmann/json.hpp>

#include <span>
#include <string>
#include <string_view>

namespace phi::admin {

using self_ptr = admin_actor::stateful_pointer<admin_state>;
using json = nlohmann::ordered_json;

/// One request under way. It is answered once, with one of the two.
struct call {
  admin_request_ptr request;
  json id;
  json params; ///< an object

  void answer(json result) const;
  void fail(int code, const std::string& why) const;

  /// A text among the params; `missing` when it is not there.
  std::string text(const char* name, const std::string& missing = {}) const;
  /// A list of texts among the params, or one text with commas.
  std::vector<std::string> texts(const char* name) const;
};

struct method {
  std::string_view name;
  void (*run)(self_ptr, const call&);
};

std::span<const method> methods();

} // namespace phi::admin
