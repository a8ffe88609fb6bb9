#pragma once
/// The methods of the admin socket, one function each. For admin*.cpp only.

#include "actors/admin.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace phi::admin {

using self_ptr = admin_actor::stateful_pointer<admin_state>;
using json = nlohmann::ordered_json;

/// A param that cannot be meant; says which, and what would be right.
class wrong_param : public std::invalid_argument {
public:
  using std::invalid_argument::invalid_argument;
};

/// One request under way. It is answered once, with one of the two.
struct admin_call {
  admin_request_ptr request;
  json id;
  json params; ///< an object

  void answer(json result) const;
  void fail(int code, const std::string& why) const;

  // Of each kind of param there is one reader; what does not fit throws `wrong_param`.

  /// A whole number among the params, from `least` to `most`; nothing when it is not there.
  std::optional<int64_t> whole(const char* name, int64_t least, int64_t most) const;
  /// Whether something is wished for; not when it is not there.
  bool flag(const char* name) const;
  /// A text among the params; `missing` when it is not there.
  std::string text(const char* name, const std::string& missing = {}) const;
  /// A list of texts among the params.
  std::vector<std::string> texts(const char* name) const;
};

struct method {
  std::string_view name;
  void (*run)(self_ptr, const admin_call&);
};

std::span<const method> methods();

} // namespace phi::admin
