#include "tools/phictl/admin_client.hpp"

#include "protocol/admin.hpp"
#include "protocol/platform/files.hpp"
#include "protocol/platform/sockets.hpp"
#include "protocol/platform/users.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/unit.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace phi::ctl {
namespace {

using steady = std::chrono::steady_clock;

bool is_socket(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_socket(path, ignored);
}

/// A socket in the directory where we happen to be counts when it is our own: anybody may lay one
/// there.
bool is_own_socket(const std::string& path) {
  auto file = facts_of_link(path);
  auto directory = facts_of_link(std::filesystem::path{path}.parent_path());
  return file && file->kind == file_facts::type::socket && file->owner == acting_user() && directory
         && directory->owner == acting_user();
}

/// Whether the process that answers may be the service: root's, our own, of the user that the
/// package makes, or of the owner of the socket's directory.
bool may_be_service(const owned_fd& socket, const std::string& path) {
  auto peer = peer_of(socket.get());
  if (!peer)
    return false;
  if (peer->user == root_user || peer->user == acting_user()
      || number_of_user("phi-backend") == peer->user)
    return true;
  auto above = std::filesystem::path{path}.parent_path();
  auto directory = facts_at(above.empty() ? "." : above.string());
  return directory && directory->owner == peer->user;
}

/// Whether we are neither root nor the user of the process that answers: it turns away whom it does
/// not know without a word.
bool may_be_turned_away(const owned_fd& socket) {
  auto peer = peer_of(socket.get());
  return peer && acting_user() != root_user && acting_user() != peer->user;
}

/// Whether there may be something that we are not allowed to see.
bool may_not_enter(const std::string& path) {
  return !facts_at(path) && errno == EACCES;
}

std::chrono::milliseconds left_until(steady::time_point until) {
  return std::chrono::ceil<std::chrono::milliseconds>(until - steady::now());
}

/// What may help where no service runs.
std::string how_to_start(const command_context& context) {
  return unit_installed(context) ? "start it with: phictl start"
                                 : "there is no unit " + context.unit + " here, so run phi-backend";
}

std::string not_permitted(const std::string& path) {
  return "not permitted: only root, the service's user and the members of admin.group may use "
         + path + "; try: sudo phictl ...";
}

failure no_answer(const command_context& context, const std::string& path, int error) {
  if (error == EACCES || error == EPERM)
    return {exit_status::failed, not_permitted(path)};
  if (facts_at(path) && !is_socket(path))
    return {exit_status::failed, path
                                   + " is no socket; name the admin socket of a service, such as"
                                     " /run/phi-backend/admin.sock"};
  return {exit_status::not_running, "nobody answers at " + path + " (" + std::strerror(error)
                                      + "): the service is not running; " + how_to_start(context)};
}

} // namespace

std::string find_admin_socket(const command_context& context) {
  if (!context.socket.empty())
    return context.socket;
  std::vector<std::string> places;
  if (const char* runtime = std::getenv("RUNTIME_DIRECTORY"))
    places.push_back(std::string{runtime} + "/admin.sock");
  places.emplace_back("/run/phi-backend/admin.sock");
  for (const auto& place : places)
    if (is_socket(place))
      return place;
    else if (may_not_enter(place))
      throw failure{exit_status::failed, not_permitted(place)};
  const std::string beside = "data/admin.sock";
  if (is_own_socket(beside))
    return beside;
  if (may_not_enter(beside))
    throw failure{exit_status::failed, not_permitted(beside)};
  if (is_socket(beside))
    throw failure{exit_status::failed, beside
                                         + " is in a directory of another user's: name it with"
                                           " --socket if you trust it"};
  return {};
}

admin_client::admin_client(const command_context& context) : path_(find_admin_socket(context)) {
  if (path_.empty())
    throw failure{exit_status::not_running,
                  "found no admin socket in /run/phi-backend or ./data: the service is not running"
                  " here; "
                    + how_to_start(context) + ", or name the socket with --socket"};
  if (!can_be_socket(path_))
    throw failure{exit_status::usage, "--socket: the path is too long for a Unix socket"};
  socket_ = connect_to(path_);
  if (!socket_) {
    throw no_answer(context, path_, errno);
  }
  if (!may_be_service(socket_, path_))
    throw failure{exit_status::failed,
                  "at " + path_
                    + " a process of another user answers, who is neither root nor"
                      " the owner of its directory: that is not trusted"};
}

int admin_client::take_file() {
  return file_.release();
}

failure admin_client::closed() const {
  if (rest_.empty() && !answered_ && may_be_turned_away(socket_))
    return {exit_status::failed, not_permitted(path_)};
  return {exit_status::not_running, "the service has closed the connection"};
}

json admin_client::call(std::string_view method, json params, std::chrono::milliseconds limit) {
  auto until = steady::now() + limit;
  auto id = next_id_++;
  auto line =
    pack_json({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}}) + '\n';
  for (size_t at = 0; at < line.size();) {
    auto sent = send_some(socket_.get(), std::string_view{line}.substr(at));
    if (sent <= 0)
      throw closed();
    at += static_cast<size_t>(sent);
  }
  auto answer = read_json(read_line(until));
  if (!answer.is_object())
    throw failure{exit_status::failed, "the service's answer is not JSON; is " + path_
                                         + " the admin socket of phi-backend?"};
  if (answer.contains("error")) {
    auto code = answer["error"].value("code", 0);
    throw failure{exit_status::failed, answer["error"].value("message", "unknown error"),
                  code == admin_wire::try_again          ? remedy::later
                  : code == admin_wire::too_much         ? remedy::less
                  : code == admin_wire::method_not_found ? remedy::earlier_name
                                                         : remedy::none};
  }
  return answer.value("result", json{});
}

/// A little more than the supervisor waits before it restarts an actor
/// (`defaults::restart_backoff`).
constexpr std::chrono::milliseconds again_after{250};

json admin_client::query(std::string_view method, const json& params,
                         std::chrono::milliseconds limit) {
  auto until = steady::now() + limit;
  for (;;)
    try {
      return call(method, params, limit);
    } catch (const failure& refused) {
      if (refused.helps() != remedy::later || steady::now() >= until)
        throw;
      wait_for_end(std::min(until, steady::now() + again_after));
    }
}

json ask(const command_context& context, std::string_view method, json params,
         std::chrono::milliseconds limit) {
  return admin_client{context}.call(method, std::move(params), context.timeout_or(limit));
}

void admin_client::wait_for_end(steady::time_point until) {
  wait_until_ready(socket_.get(), interest::input, left_until(until));
}

std::string admin_client::read_line(steady::time_point until) {
  for (;;) {
    if (auto end = rest_.find('\n'); end != rest_.npos) {
      auto line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      answered_ = true;
      return line;
    }
    auto left = left_until(until);
    if (left.count() <= 0 || !wait_until_ready(socket_.get(), interest::input, left))
      throw failure{exit_status::timed_out, "the service did not answer in time; see --timeout"};
    char text[65536];
    auto size = receive_with_file(socket_.get(), text, sizeof text, file_);
    if (size <= 0)
      throw closed();
    rest_.append(text, static_cast<size_t>(size));
    if (rest_.size() > 64 * admin_wire::max_line_bytes)
      throw failure{exit_status::failed, "the service's answer has no end"};
  }
}

} // namespace phi::ctl
