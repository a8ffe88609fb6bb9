#include "server/admin/admin_socket.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"
#include "protocol/platform/files.hpp"
#include "protocol/platform/sockets.hpp"
#include "protocol/platform/users.hpp"
#include "server/platform/acceptor.hpp"
#include "server/platform/groups.hpp"

#include <asio.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace phi {
namespace {

using stream = asio::local::stream_protocol;
using handler_type = std::function<void(admin_request_ptr)>;

class admin_session;
/// Used in the socket's thread only: an actor that answers holds no session.
using session_list = std::list<std::shared_ptr<admin_session>>;

/// One connection: requests are answered one after the other, in order.
class admin_session : public std::enable_shared_from_this<admin_session> {
public:
  admin_session(stream::socket socket, std::shared_ptr<handler_type> handler, session_list& all)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      handler_(std::move(handler)),
      all_(all) {}

  /// Whether it waits for a request (a part of one may be there).
  bool is_idle() const { return reading_; }
  /// Whether its answer waits for a client that does not read on.
  bool is_stuck(time_point now) const {
    return writing_ && now - moved_ >= defaults::make_room_after;
  }
  /// When a request was last waited for, or a part of an answer was taken.
  time_point moved() const { return moved_; }

  void close() {
    asio::error_code ignored;
    timer_.cancel();
    socket_.close(ignored);
    all_.remove(shared_from_this());
  }

  void read() {
    timer_.expires_after(defaults::admin_idle_timeout);
    timer_.async_wait([self = weak_from_this()](const asio::error_code& error) {
      if (auto session = self.lock(); session && !error && session->reading_)
        session->close();
    });
    reading_ = true;
    moved_ = clock::now();
    asio::async_read_until(socket_, asio::dynamic_buffer(input_, admin_wire::max_line_bytes), '\n',
                           [self = shared_from_this()](const asio::error_code& error, size_t size) {
                             self->reading_ = false;
                             if (error == asio::error::not_found) // so long and no end of a line
                               return self->refuse_long_line();
                             if (error)
                               return self->close();
                             self->ask(size);
                           });
  }

private:
  /// Says why, then ends: where the next line begins is not known.
  void refuse_long_line() {
    input_.clear();
    output_ =
      R"({"jsonrpc":"2.0","id":null,"error":{"code":)" + std::to_string(admin_wire::invalid_request)
      + R"(,"message":"a request may have up to )" + std::to_string(admin_wire::max_line_bytes)
      + R"( bytes with its newline; the connection is closed"}})"
        "\n";
    asio::async_write(socket_, asio::buffer(output_),
                      [self = shared_from_this()](const asio::error_code& error, size_t) {
                        if (error)
                          return self->close();
                        self->linger();
                      });
    limit(defaults::admin_linger);
  }

  /// Takes what is still on its way and forgets it: whoever has not read the answer yet would be
  /// told of a broken connection instead.
  void linger() {
    asio::error_code ignored;
    socket_.shutdown(stream::socket::shutdown_send, ignored);
    input_.resize(65536);
    socket_.async_read_some(asio::buffer(input_),
                            [self = shared_from_this()](const asio::error_code& error, size_t) {
                              if (error)
                                return self->close();
                              self->linger();
                            });
  }

  /// Ends the connection after that time, whatever it does.
  void limit(std::chrono::steady_clock::duration time) {
    timer_.expires_after(time);
    timer_.async_wait([self = weak_from_this()](const asio::error_code& error) {
      if (auto session = self.lock(); session && !error)
        session->close();
    });
  }

  /// A request that dies unanswered, with the actor that had it: its asker must not wait for ever.
  struct unanswered {
    void operator()(admin_request* request) const {
      if (auto answer = std::exchange(request->answer, {}))
        answer(R"({"jsonrpc":"2.0","id":null,"error":{"code":)"
               + std::to_string(admin_wire::try_again)
               + R"(,"message":"the request was lost with the actor that had it; try again"}})");
      delete request;
    }
  };

  void ask(size_t size) {
    auto request = std::shared_ptr<admin_request>(new admin_request, unanswered{});
    request->asker_gone = gone_ = std::make_shared<std::atomic<bool>>(false);
    watch_asker();
    request->line = input_.substr(0, size - 1);
    input_.erase(0, size);
    request->answer = [session = weak_from_this(), thread = socket_.get_executor(),
                       of = std::weak_ptr<admin_request>{request}](std::string line) {
      if (session.expired())
        return; // its thread may have ended as well
      auto asked = of.lock();
      asio::post(thread,
                 [session, line = std::move(line), file = asked ? asked->file : nullptr]() mutable {
                   if (auto self = session.lock())
                     self->write(std::move(line), std::move(file));
                 });
    };
    (*handler_)(std::move(request));
  }

  /// Its end is seen although nothing is read: what is done for it need not be done any more.
  void watch_asker() {
    auto timer = std::make_shared<asio::steady_timer>(socket_.get_executor(),
                                                      defaults::connection_sweep_interval);
    timer->async_wait([self = shared_from_this(), gone = gone_, timer](const asio::error_code&) {
      if (gone->load() || gone != self->gone_)
        return;
      bool open = self->socket_.is_open();
      auto seen = open ? wait_until_ready(self->socket_.native_handle(), interest::end,
                                          std::chrono::milliseconds{0})
                       : readiness{};
      if (!open || seen.ended || seen.broken)
        gone->store(true);
      else
        return self->watch_asker();
      if (seen.broken)
        self->close(); // whatever becomes of its request, the place is free
    });
  }

  /// A file goes along with the first byte.
  void write(std::string line, const shared_file& file) {
    gone_ = nullptr;
    output_ = std::move(line) + '\n';
    if (file && send_with_file(socket_.native_handle(), output_[0], file->get()))
      output_.erase(0, 1);
    writing_ = true;
    moved_ = clock::now();
    watch_writing();
    auto moves_on = [this](const asio::error_code& error, size_t) -> size_t {
      moved_ = clock::now();
      return error ? 0 : std::numeric_limits<size_t>::max();
    };
    asio::async_write(socket_, asio::buffer(output_), moves_on,
                      [self = shared_from_this()](const asio::error_code& error, size_t) {
                        self->writing_ = false;
                        if (error)
                          return self->close();
                        self->read();
                      });
  }

  /// Whoever does not read on is cut: its place and the answer's memory are given back.
  void watch_writing() {
    timer_.expires_at(moved_ + defaults::admin_write_timeout);
    timer_.async_wait([self = weak_from_this()](const asio::error_code& error) {
      auto session = self.lock();
      if (!session || error || !session->writing_)
        return;
      if (clock::now() - session->moved_ >= defaults::admin_write_timeout)
        return session->close();
      session->watch_writing();
    });
  }

  stream::socket socket_;
  asio::steady_timer timer_; ///< of what is waited for: a request, or the client that reads
  gone_flag gone_;           ///< of the request under way
  std::shared_ptr<handler_type> handler_;
  session_list& all_;
  bool reading_ = false;
  bool writing_ = false;
  time_point moved_{};
  std::string input_;
  std::string output_;
};

/// Whether nothing is where the socket shall be, or a socket.
outcome check_place(const std::string& path) {
  auto there = facts_of_link(path);
  if (!there || there->kind == file_facts::type::socket)
    return {};
  return outcome::failure(
    "cannot listen on " + path
    + ": something that is no socket is there; choose another path with admin.socket");
}

} // namespace

class admin_socket::server {
public:
  server(std::string path, std::string group)
    : path_(std::move(path)),
      group_name_(std::move(group)),
      acceptor_(io_, {.name = "admin",
                      .has_room = [] { return true; },
                      .take =
                        [this](taken_connection taken) {
                          stream::socket peer{io_};
                          peer.assign(stream{},
                                      taken.fd.get()); // throws while the descriptor is ours
                          [[maybe_unused]] int now_owned = taken.fd.release();
                          let_in(std::move(peer));
                        }}) {}

  ~server() {
    if (thread_.joinable()) {
      io_.stop();
      thread_.join();
      if (number_ != 0 && number_ == number_of(path_))
        remove_file(path_);
    }
    sessions_.clear();
  }

  outcome open(handler_type handler) {
    {
      std::lock_guard lock{mutex_};
      current_ = std::move(handler);
    }
    if (thread_.joinable())
      return {};
    if (auto usable = check_admin_group(group_name_); !usable)
      return usable;
    if (auto usable = check_place(path_); !usable)
      return usable;
    group_ = number_of_group(group_name_);
    try {
      if (somebody_lives_there())
        return outcome::failure("cannot listen on " + path_ + ": another process answers there");
      remove_file(path_);
      auto listener = listen_at(path_);
      number_ = number_of(path_);
      if (group_ && !give_to_group(path_, *group_))
        return outcome::failure("cannot give " + path_ + " to the group " + group_name_ + ": "
                                + std::strerror(errno) + "; see admin.group");
      acceptor_.open(std::move(listener));
    } catch (const std::exception& e) {
      return outcome::failure("cannot listen on " + path_ + ": " + e.what()
                              + "; choose another path with admin.socket");
    }
    *handler_ = [this](admin_request_ptr request) { submit(std::move(request)); };
    thread_ = std::thread([this] { io_.run(); });
    return {};
  }

  void release_handles() {
    std::lock_guard lock{mutex_};
    current_ = {};
  }

private:
  bool somebody_lives_there() {
    stream::socket probe{io_};
    asio::error_code error;
    probe.connect(stream::endpoint{path_}, error);
    return !error;
  }

  void submit(admin_request_ptr request) {
    std::lock_guard lock{mutex_};
    if (current_)
      current_(std::move(request));
  }

  static uint64_t number_of(const std::string& path) {
    auto there = facts_of_link(path);
    return there ? there->number : 0;
  }

  /// When all places are taken, who has waited longest for a request, or has not read its answer
  /// for longest, goes: neither locks anybody out. Who is being worked for stays.
  bool make_room() {
    if (sessions_.size() < defaults::admin_max_connections)
      return true;
    auto now = clock::now();
    std::shared_ptr<admin_session> goes;
    for (const auto& session : sessions_)
      if ((session->is_idle() || session->is_stuck(now))
          && (!goes || session->moved() < goes->moved()))
        goes = session;
    if (goes)
      goes->close();
    return goes != nullptr;
  }

  void let_in(stream::socket peer) {
    if (is_peer_allowed(peer.native_handle(), group_) && make_room()) {
      sessions_.push_back(std::make_shared<admin_session>(std::move(peer), handler_, sessions_));
      return sessions_.back()->read();
    }
    ++turned_away_;
    if (auto now = clock::now(); now - said_at_ >= std::chrono::seconds{1}) {
      said_at_ = now;
      log_warn("admin", "turns connections away",
               {{"count", std::exchange(turned_away_, 0)}, {"open", sessions_.size()}});
    }
  }

  std::string path_;
  std::string group_name_;
  std::optional<uint32_t> group_;
  asio::io_context io_{1};
  acceptor acceptor_;
  uint64_t number_ = 0; ///< of the socket file that we made
  std::mutex mutex_;
  handler_type current_;
  std::shared_ptr<handler_type> handler_ = std::make_shared<handler_type>();
  session_list sessions_;
  uint64_t turned_away_ = 0;
  time_point said_at_{};
  std::thread thread_;
};

admin_socket::admin_socket(std::string path, std::string group)
  : server_(std::make_unique<server>(std::move(path), std::move(group))) {}
admin_socket::~admin_socket() = default;

outcome admin_socket::open(std::function<void(admin_request_ptr)> handler) {
  return server_->open(std::move(handler));
}

void admin_socket::release_handles() {
  server_->release_handles();
}

} // namespace phi
