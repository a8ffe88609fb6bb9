#include "tools/phictl/admin_client.hpp"

#include "protocol/admin.hpp"
#include "tools/phictl/output.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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
  struct stat file {};
  struct stat directory {};
  auto above = std::filesystem::path{path}.parent_path();
  return ::lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode) && file.st_uid == ::geteuid()
         && ::lstat(above.c_str(), &directory) == 0 && directory.st_uid == ::geteuid();
}

/// Whether the process that answers may be the service: root's, our own, of the user that the
/// package makes, or of the owner of the socket's directory.
bool may_be_service(int socket, const std::string& path) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return false;
  if (peer.uid == 0 || peer.uid == ::geteuid())
    return true;
  if (const auto* user = ::getpwnam("phi-backend"); user && user->pw_uid == peer.uid)
    return true;
  struct stat directory {};
  auto above = std::filesystem::path{path}.parent_path();
  return ::stat(above.empty() ? "." : above.c_str(), &directory) == 0
         && directory.st_uid == peer.uid;
}

/// Whether we are neither root nor the user of the process that answers: it turns away whom it does
/// not know without a word.
bool may_be_turned_away(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && ::geteuid() != 0
         && ::geteuid() != peer.uid;
}

/// Whether there may be something that we are not allowed to see.
bool may_not_enter(const std::string& path) {
  struct stat ignored {};
  return ::stat(path.c_str(), &ignored) != 0 && errno == EACCES;
}

std::string explain(const std::string& path, int error) {
  if (error == EACCES || error == EPERM)
    return "not permitted: only root, the service's user and the members of admin.group may use "
           + path + "; try: sudo phictl ...";
  return "nobody answers at " + path + " (" + std::strerror(error)
         + "): the service is not running. Start it with: phictl start";
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
      throw failure{exit_status::failed, explain(place, EACCES)};
  if (is_own_socket("data/admin.sock"))
    return "data/admin.sock";
  return {};
}

admin_client::admin_client(const command_context& context) : path_(find_admin_socket(context)) {
  if (path_.empty())
    throw failure{exit_status::not_running,
                  "found no admin socket in /run/phi-backend or ./data: the service is not running"
                  " here. Start it with: phictl start; or name the socket with --socket"};
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (path_.size() >= sizeof at.sun_path)
    throw failure{exit_status::usage, "--socket: the path is too long for a Unix socket"};
  std::memcpy(at.sun_path, path_.data(), path_.size());
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
    int error = errno;
    if (fd_ >= 0)
      ::close(std::exchange(fd_, -1));
    throw failure{error == EACCES || error == EPERM ? exit_status::failed
                                                    : exit_status::not_running,
                  explain(path_, error)};
  }
  if (!may_be_service(fd_, path_)) {
    ::close(std::exchange(fd_, -1));
    throw failure{exit_status::failed,
                  "at " + path_
                    + " a process of another user answers, who is neither root nor"
                      " the owner of its directory: that is not trusted"};
  }
}

admin_client::~admin_client() {
  if (fd_ >= 0)
    ::close(fd_);
  if (file_ >= 0)
    ::close(file_);
}

int admin_client::take_file() {
  return std::exchange(file_, -1);
}

failure admin_client::closed() const {
  if (rest_.empty() && !answered_ && may_be_turned_away(fd_))
    return {exit_status::failed, explain(path_, EACCES)};
  return {exit_status::not_running, "the service has closed the connection"};
}

json admin_client::call(std::string_view method, json params, std::chrono::milliseconds limit) {
  auto until = steady::now() + limit;
  auto id = next_id_++;
  auto line =
    pack_json({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}}) + '\n';
  for (size_t at = 0; at < line.size();) {
    auto sent = ::send(fd_, line.data() + at, line.size() - at, MSG_NOSIGNAL);
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
  auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady::now());
  pollfd ended{fd_, POLLIN | POLLHUP, 0};
  ::poll(&ended, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
}

/// A file may come along with the bytes.
ssize_t admin_client::receive(char* to, size_t size) {
  iovec bytes{to, size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  auto got = ::recvmsg(fd_, &message, MSG_CMSG_CLOEXEC);
  const auto* about = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (about && about->cmsg_level == SOL_SOCKET && about->cmsg_type == SCM_RIGHTS) {
    if (file_ >= 0)
      ::close(file_);
    std::memcpy(&file_, CMSG_DATA(about), sizeof file_);
  }
  return got;
}

std::string admin_client::read_line(steady::time_point until) {
  for (;;) {
    if (auto end = rest_.find('\n'); end != rest_.npos) {
      auto line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      answered_ = true;
      return line;
    }
    auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady::now());
    pollfd waiting{fd_, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0)
      throw failure{exit_status::timed_out, "the service did not answer in time; see --timeout"};
    char text[65536];
    auto size = receive(text, sizeof text);
    if (size <= 0)
      throw closed();
    rest_.append(text, static_cast<size_t>(size));
    if (rest_.size() > 64 * admin_wire::max_line_bytes)
      throw failure{exit_status::failed, "the service's answer has no end"};
  }
}

} // namespace phi::ctl
