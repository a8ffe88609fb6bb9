#include "server/platform/admin_socket.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"

#include <asio.hpp>

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

namespace phi {
namespace {

using stream = asio::local::stream_protocol;
using handler_type = std::function<void(admin_request_ptr)>;

/// Whether the peer is in the group, by its own or its further groups.
bool is_member(int peer, const ucred& who, gid_t group) {
  if (who.gid == group)
    return true;
  std::array<gid_t, 256> groups{};
  socklen_t size = sizeof groups;
  if (::getsockopt(peer, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0)
    return false;
  auto end = groups.begin() + static_cast<ptrdiff_t>(size / sizeof(gid_t));
  return std::find(groups.begin(), end, group) != end;
}

/// Whether the peer is root, the user that we run as, or a member of the group.
bool may_enter(stream::socket& peer, std::optional<gid_t> group) {
  ucred who{};
  socklen_t size = sizeof who;
  return ::getsockopt(peer.native_handle(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0
         && (who.uid == 0 || who.uid == ::geteuid()
             || (group && is_member(peer.native_handle(), who, *group)));
}

class admin_session;
using session_list = std::shared_ptr<std::list<admin_session*>>; ///< the oldest first

/// One connection: requests are answered one after the other, in order.
class admin_session : public std::enable_shared_from_this<admin_session> {
public:
  admin_session(stream::socket socket, std::shared_ptr<handler_type> handler, session_list all)
    : socket_(std::move(socket)),
      idle_(socket_.get_executor()),
      handler_(std::move(handler)),
      all_(std::move(all)) {
    all_->push_back(this);
  }
  ~admin_session() { all_->remove(this); }

  /// Whether it waits for a request (a part of one may be there).
  bool is_idle() const { return reading_; }
  void close() {
    asio::error_code ignored;
    socket_.close(ignored);
  }

  void read() {
    idle_.expires_after(defaults::admin_idle_timeout);
    idle_.async_wait([self = weak_from_this()](const asio::error_code& error) {
      if (auto session = self.lock(); session && !error)
        session->close();
    });
    reading_ = true;
    asio::async_read_until(socket_, asio::dynamic_buffer(input_, admin_wire::max_line_bytes), '\n',
                           [self = shared_from_this()](const asio::error_code& error, size_t size) {
                             if (!error)
                               self->ask(size);
                           });
  }

private:
  void ask(size_t size) {
    reading_ = false;
    auto request = std::make_shared<admin_request>();
    request->line = input_.substr(0, size - 1);
    input_.erase(0, size);
    request->answer = [self = shared_from_this()](std::string line) {
      asio::post(self->socket_.get_executor(),
                 [self, line = std::move(line)]() mutable { self->write(std::move(line)); });
    };
    (*handler_)(std::move(request));
  }

  void write(std::string line) {
    output_ = std::move(line) + '\n';
    asio::async_write(socket_, asio::buffer(output_),
                      [self = shared_from_this()](const asio::error_code& error, size_t) {
                        if (!error)
                          self->read();
                      });
  }

  stream::socket socket_;
  asio::steady_timer idle_;
  std::shared_ptr<handler_type> handler_;
  session_list all_;
  bool reading_ = false;
  std::string input_;
  std::string output_;
};

} // namespace

class admin_socket::server {
public:
  server(std::string path, std::string group)
    : path_(std::move(path)),
      group_name_(std::move(group)),
      acceptor_(io_) {}

  ~server() {
    if (thread_.joinable()) {
      io_.stop();
      thread_.join();
      ::unlink(path_.c_str());
    }
  }

  std::string open(handler_type handler) {
    {
      std::lock_guard lock{guard_};
      current_ = std::move(handler);
    }
    if (thread_.joinable())
      return {};
    if (auto trouble = look_up_group(); !trouble.empty())
      return trouble;
    try {
      if (somebody_lives_there())
        return "cannot listen on " + path_ + ": another process answers there";
      ::unlink(path_.c_str());
      acceptor_.open();
      acceptor_.bind(stream::endpoint{path_});
      ::chmod(path_.c_str(), 0660);
      if (group_ && ::chown(path_.c_str(), static_cast<uid_t>(-1), *group_) != 0)
        return "cannot give " + path_ + " to the group " + group_name_ + ": " + std::strerror(errno)
               + "; the service's user must be a member, see admin.group";
      acceptor_.listen();
    } catch (const std::exception& e) {
      return "cannot listen on " + path_ + ": " + e.what()
             + "; choose another path with admin.socket";
    }
    *handler_ = [this](admin_request_ptr request) { hand_on(std::move(request)); };
    accept();
    thread_ = std::thread([this] { io_.run(); });
    return {};
  }

private:
  std::string look_up_group() {
    if (group_name_.empty())
      return {};
    group entry{};
    group* found = nullptr;
    std::array<char, 16384> space{};
    if (::getgrnam_r(group_name_.c_str(), &entry, space.data(), space.size(), &found) != 0
        || !found)
      return "admin.group = \"" + group_name_ + "\": there is no such group";
    group_ = found->gr_gid;
    return {};
  }

  bool somebody_lives_there() {
    stream::socket probe{io_};
    asio::error_code error;
    probe.connect(stream::endpoint{path_}, error);
    return !error;
  }

  void hand_on(admin_request_ptr request) {
    std::lock_guard lock{guard_};
    if (current_)
      current_(std::move(request));
  }

  /// When all places are taken, the oldest that only waits goes: idle connections lock nobody out.
  bool make_room() {
    if (sessions_->size() < defaults::admin_max_connections)
      return true;
    for (auto* session : *sessions_)
      if (session->is_idle()) {
        session->close();
        sessions_->remove(session); // it goes when its read has ended
        return true;
      }
    return false;
  }

  void accept() {
    acceptor_.async_accept([this](const asio::error_code& error, stream::socket peer) {
      if (error == asio::error::operation_aborted)
        return;
      if (!error && may_enter(peer, group_) && make_room())
        std::make_shared<admin_session>(std::move(peer), handler_, sessions_)->read();
      else if (!error)
        log_warn("admin", "turns a connection away", {{"open", sessions_->size()}});
      accept();
    });
  }

  std::string path_;
  std::string group_name_;
  std::optional<gid_t> group_;
  asio::io_context io_{1};
  stream::acceptor acceptor_;
  std::mutex guard_;
  handler_type current_;
  std::shared_ptr<handler_type> handler_ = std::make_shared<handler_type>();
  session_list sessions_ = std::make_shared<std::list<admin_session*>>();
  std::thread thread_;
};

admin_socket::admin_socket(std::string path, std::string group)
  : server_(std::make_unique<server>(std::move(path), std::move(group))) {}
admin_socket::~admin_socket() = default;

std::string admin_socket::open(std::function<void(admin_request_ptr)> handler) {
  return server_->open(std::move(handler));
}

} // namespace phi
