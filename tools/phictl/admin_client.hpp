#pragma once
/// Asks the service over its admin socket (protocol/admin.hpp).

#include "protocol/platform/descriptor.hpp"
#include "tools/phictl/context.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace phi::ctl {

using json = nlohmann::ordered_json;

/// One connection. Every function throws `failure`: not_running when nobody answers at the socket,
/// timed_out, or failed with the service's own words.
class admin_client {
public:
  /// Connects to --socket, or to the first of the usual places where there is a socket.
  explicit admin_client(const command_context& context);

  /// The result of one request.
  json call(std::string_view method, json params, std::chrono::milliseconds limit);

  /// The same for a question that changes nothing: where the service says "try again", as when the
  /// actor that had it was restarted, it is asked again until `limit` is over.
  json query(std::string_view method, const json& params, std::chrono::milliseconds limit);

  /// Waits until the service ends the connection, no longer than `until`.
  void wait_for_end(std::chrono::steady_clock::time_point until);

  /// The open file that came along with the last answer, now the caller's; -1: none.
  int take_file();

  const std::string& path() const { return path_; }

private:
  failure closed() const; ///< that the other end has ended the connection, and why
  std::string read_line(std::chrono::steady_clock::time_point until);

  std::string path_;
  std::string rest_;
  owned_fd socket_;
  owned_fd file_;
  int next_id_ = 1;
  bool answered_ = false; ///< whether there was an answer on this connection
};

/// One request over a connection of its own. `limit` holds unless --timeout says otherwise.
json ask(const command_context& context, std::string_view method, json params = json::object(),
         std::chrono::milliseconds limit = std::chrono::seconds{5});

/// Where the admin socket is: --socket, $RUNTIME_DIRECTORY, /run/phi-backend, ./data when it is our
/// own. Empty: there is none. Throws when we may not look.
std::string find_admin_socket(const command_context& context);

} // namespace phi::ctl
