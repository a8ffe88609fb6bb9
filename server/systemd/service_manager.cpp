#include "server/systemd/service_manager.hpp"

#include "protocol/text/terminal_text.hpp"

#include <systemd/sd-daemon.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace phi::systemd {
namespace {

using std::chrono::microseconds;

std::string field(const char* name, duration value) {
  return std::string{name} + "=" + std::to_string(value / microseconds{1}) + "\n";
}

constexpr std::string_view sign_of_life = "WATCHDOG=1\n";

/// A message is one datagram and its lines end at a line feed. The manager ignores a status that is
/// no UTF-8, and every message of more than 4 KiB as a whole.
std::string one_line(std::string text) {
  constexpr size_t longest = 1024;
  for (auto& c : text)
    if (c == '\n' || c == '\r' || c == '\0')
      c = ' ';
  text = printable(text);
  if (text.size() <= longest)
    return text;
  size_t end = longest;
  while ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end; // between two characters
  return text.substr(0, end) + "...";
}

/// The line of a message that begins so, with its line feed; empty: there is none.
std::string_view line_of(std::string_view message, std::string_view beginning) {
  for (size_t at = 0; at < message.size();) {
    auto line = message.substr(at, message.find('\n', at) + 1 - at);
    if (line.starts_with(beginning))
      return line;
    at += line.size();
  }
  return {};
}

/// What has not been sent yet, and more. Of several lines of one kind the manager takes the first,
/// but the last is what holds; which of the states comes last it sees itself.
std::string merged(std::string_view unsent, std::string_view more) {
  std::string out;
  for (size_t at = 0; at < unsent.size();) {
    auto line = unsent.substr(at, unsent.find('\n', at) + 1 - at);
    auto kind = line.starts_with("WATCHDOG=") ? line : line.substr(0, line.find('=') + 1);
    if (line_of(more, kind).empty())
      out += line;
    at += line.size();
  }
  return out.append(more);
}

} // namespace

service_manager::service_manager() {
  const char* address = std::getenv("NOTIFY_SOCKET");
  if (address && (address[0] == '/' || address[0] == '@')) {
    address_ = address;
    socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
  uint64_t limit = 0;
  if (present() && ::sd_watchdog_enabled(0, &limit) > 0)
    watchdog_limit_ = microseconds{limit};
}

void service_manager::ready(const std::string& status) {
  std::lock_guard lock{mutex_};
  text_ = status;
  send("READY=1\n" + status_line());
}

void service_manager::reloading(const std::string& status) {
  std::lock_guard lock{mutex_};
  text_ = status;
  // MONOTONIC_USEC tells a manager that knows Type=notify-reload (253) which SIGHUP this answers.
  send("RELOADING=1\n" + field("MONOTONIC_USEC", clock::now().time_since_epoch()) + status_line());
}

void service_manager::stopping(const std::string& status) {
  std::lock_guard lock{mutex_};
  text_ = status;
  send("STOPPING=1\n" + status_line());
}

void service_manager::status(const std::string& text) {
  std::lock_guard lock{mutex_};
  text_ = text;
  if (auto line = status_line(); line != shown_ || !unsent_.empty())
    send(line);
}

void service_manager::late(const std::string& text) {
  std::lock_guard lock{mutex_};
  late_ = text;
  send(status_line());
}

void service_manager::extend(duration more) {
  std::lock_guard lock{mutex_};
  send(field("EXTEND_TIMEOUT_USEC", more));
}

void service_manager::beat() {
  std::lock_guard lock{mutex_};
  send(std::string{sign_of_life});
}

void service_manager::trigger() {
  std::lock_guard lock{mutex_};
  send("WATCHDOG=trigger\n");
}

void service_manager::barrier(std::chrono::milliseconds limit) {
  int pipe_ends[2];
  if (!present() || ::pipe2(pipe_ends, O_CLOEXEC) != 0)
    return;
  // The manager gets one end of a pipe and closes it: then it has read all that came before.
  owned_fd ours{pipe_ends[0]};
  owned_fd theirs{pipe_ends[1]};
  {
    std::lock_guard lock{mutex_};
    if (!unsent_.empty())
      send({});
    // Alone: whatever else a message with a barrier says the manager ignores.
    if (!unsent_.empty() || !send_now("BARRIER=1", theirs.get()))
      return;
  }
  theirs.reset();
  wait_until_ready(ours.get(), interest::end, limit);
}

std::string service_manager::status_line() const {
  return "STATUS=" + one_line(late_.empty() ? text_ : text_ + "; " + late_) + "\n";
}

void service_manager::send(const std::string& lines) {
  if (!present())
    return;
  auto message = merged(unsent_, lines);
  if (!send_now(message, -1)) {
    if (lines != sign_of_life) // they are only good when they are fresh
      unsent_ = std::move(message);
    return;
  }
  unsent_.clear();
  if (auto line = line_of(message, "STATUS="); !line.empty())
    shown_ = line;
}

bool service_manager::send_now(const std::string& message, int descriptor) const {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  auto length = std::min(address_.size(), sizeof to.sun_path - 1);
  std::memcpy(to.sun_path, address_.data(), length);
  if (to.sun_path[0] == '@')
    to.sun_path[0] = '\0'; // an abstract address
  iovec text{const_cast<char*>(message.data()), message.size()};
  msghdr packet{};
  packet.msg_name = &to;
  packet.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  packet.msg_iov = &text;
  packet.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
  if (descriptor >= 0) {
    packet.msg_control = control;
    packet.msg_controllen = sizeof control;
    auto* header = CMSG_FIRSTHDR(&packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  return ::sendmsg(socket_.get(), &packet, MSG_NOSIGNAL) >= 0;
}

} // namespace phi::systemd
