// Sends the lines of a file, so many a request, over connections that are kept, and holds every
// answer against what was sent: each line acknowledged, once.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

struct wishes {
  int port = 0;
  std::string file;
  size_t lines = 1000;
  size_t connections = 8;
  std::string expect = "stored";
  double seconds = 0;
  bool until_broken = false;
};

/// A connection ended before its answer.
struct broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct request {
  std::string_view body;
  size_t lines = 0;
};

/// Bodies, one after the other; they lie in the mapped file.
class requests {
public:
  explicit requests(const wishes& wanted) : wanted_(wanted) {
    int file = ::open(wanted.file.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat about {};
    if (file < 0 || ::fstat(file, &about) != 0 || about.st_size == 0)
      throw std::runtime_error("cannot read " + wanted.file);
    auto size = static_cast<size_t>(about.st_size);
    auto* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    ::close(file);
    if (at == MAP_FAILED)
      throw std::runtime_error("cannot map " + wanted.file);
    text_ = {static_cast<const char*>(at), size};
  }
  ~requests() { ::munmap(const_cast<char*>(text_.data()), text_.size()); }
  requests(const requests&) = delete;

  /// Without a line: there are no more.
  request next() {
    if (at_ == text_.size() && wanted_.seconds > 0)
      at_ = 0;
    request out;
    auto end = at_;
    for (; out.lines < wanted_.lines && end < text_.size(); ++out.lines)
      end = std::min(text_.find('\n', end), text_.size() - 1) + 1;
    out.body = text_.substr(at_, end - at_);
    at_ = end;
    return out;
  }

private:
  const wishes& wanted_;
  std::string_view text_;
  size_t at_ = 0;
};

uint64_t number_behind(std::string_view answer, std::string_view name) {
  auto at = answer.find(name);
  return at == answer.npos ? 0 : std::strtoull(answer.data() + at + name.size(), nullptr, 10);
}

struct account {
  uint64_t sent = 0; ///< lines, of requests that were answered
  uint64_t stored = 0;
  uint64_t duplicates = 0;
  uint64_t wrong = 0; ///< requests that were not answered as expected
  std::string first_wrong;
  std::vector<double> took_ms;

  void add(const wishes& wanted, size_t lines, const std::string& answer,
           clock_type::duration took) {
    took_ms.push_back(std::chrono::duration<double, std::milli>(took).count());
    auto here = number_behind(answer, "\"stored\":");
    auto known = number_behind(answer, "\"duplicates\":");
    sent += lines;
    stored += here;
    duplicates += known;
    auto good = answer.starts_with("HTTP/1.1 20");
    if (good && wanted.expect != "status") {
      auto expected = wanted.expect == "stored"       ? here == lines && known == 0
                      : wanted.expect == "duplicates" ? here == 0 && known == lines
                                                      : here + known == lines;
      good = expected && answer.find("\"rejected\":[]") != answer.npos
             && answer.find("\"committed\"") != answer.npos;
    }
    if (!good && wrong++ == 0)
      first_wrong = answer.substr(0, 2000);
  }
};

class connection {
public:
  connection(const wishes& wanted, int epoll) : wanted_(wanted), epoll_(epoll) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(wanted.port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
      throw std::runtime_error("cannot connect");
    epoll_event want{.events = 0, .data = {.ptr = this}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket_, &want);
  }
  ~connection() { ::close(socket_); }
  connection(const connection&) = delete;

  /// False: there is nothing more to send.
  bool start(requests& from) {
    request_ = from.next();
    if (request_.lines == 0)
      return false;
    head_ = "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: ";
    head_ += wanted_.lines == 1 ? "application/json" : "application/x-ndjson";
    head_ += "\r\nContent-Length: " + std::to_string(request_.body.size()) + "\r\n\r\n";
    sent_ = 0;
    in_.clear();
    began_ = clock_type::now();
    write();
    return true;
  }

  /// True: the answer is there.
  bool ready(account& counts) {
    if (sent_ < size()) {
      write();
      return false;
    }
    char buffer[16384];
    auto got = ::recv(socket_, buffer, sizeof buffer, 0);
    if (got <= 0)
      throw broken("a connection ended before its answer");
    in_.append(buffer, static_cast<size_t>(got));
    auto head = in_.find("\r\n\r\n");
    if (head == in_.npos || in_.size() < head + 4 + number_behind(in_, "Content-Length: "))
      return false;
    counts.add(wanted_, request_.lines, in_, clock_type::now() - began_);
    return true;
  }

private:
  size_t size() const { return head_.size() + request_.body.size(); }

  void write() {
    while (sent_ < size()) {
      iovec parts[2];
      int count = 0;
      if (sent_ < head_.size())
        parts[count++] = {head_.data() + sent_, head_.size() - sent_};
      auto of_body = sent_ > head_.size() ? sent_ - head_.size() : 0;
      parts[count++] = {const_cast<char*>(request_.body.data()) + of_body,
                        request_.body.size() - of_body};
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = static_cast<size_t>(count);
      auto n = ::sendmsg(socket_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0 && errno == EAGAIN)
        break;
      if (n < 0)
        throw broken("cannot send");
      sent_ += static_cast<size_t>(n);
    }
    auto wanted = static_cast<uint32_t>(sent_ < size() ? EPOLLOUT : EPOLLIN);
    if (wanted == waits_for_)
      return;
    waits_for_ = wanted;
    epoll_event want{.events = wanted, .data = {.ptr = this}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket_, &want);
  }

  const wishes& wanted_;
  int epoll_;
  int socket_ = -1;
  uint32_t waits_for_ = 0;
  request request_;
  std::string head_;
  size_t sent_ = 0; ///< of head and body
  std::string in_;
  clock_type::time_point began_;
};

/// Sends until nothing is left, or time is up, and every answer is there.
void exchange(const wishes& wanted, requests& from, int epoll, size_t waiting, account& counts) {
  auto end = clock_type::time_point::max();
  if (wanted.seconds > 0)
    end = clock_type::now()
          + std::chrono::duration_cast<clock_type::duration>(
            std::chrono::duration<double>(wanted.seconds));
  epoll_event events[64];
  while (waiting > 0) {
    auto n = ::epoll_wait(epoll, events, std::size(events), 60'000);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      throw std::runtime_error("no answer within a minute");
    for (int i = 0; i < n; ++i) {
      auto* client = static_cast<connection*>(events[i].data.ptr);
      if (client->ready(counts) && (clock_type::now() >= end || !client->start(from)))
        --waiting;
    }
  }
}

double processor_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  auto seconds = [](timeval t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

nlohmann::ordered_json send_all(const wishes& wanted) {
  int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  requests from{wanted};
  std::vector<std::unique_ptr<connection>> connections;
  while (connections.size() < wanted.connections)
    connections.push_back(std::make_unique<connection>(wanted, epoll));
  account counts;
  std::string ended;
  auto used = processor_seconds();
  auto began = clock_type::now();
  try {
    size_t waiting = 0;
    for (const auto& client : connections)
      waiting += client->start(from);
    exchange(wanted, from, epoll, waiting, counts);
  } catch (const broken& e) {
    if (!wanted.until_broken)
      throw;
    ended = e.what();
  }
  auto took = std::chrono::duration<double>(clock_type::now() - began).count();
  used = processor_seconds() - used;
  auto& times = counts.took_ms;
  std::sort(times.begin(), times.end());
  // The nearest rank.
  auto at = [&](double share) {
    auto rank = std::ceil(share * static_cast<double>(times.size()));
    return times.empty() ? 0 : times[static_cast<size_t>(std::max(rank, 1.0)) - 1];
  };
  return {{"seconds", took},
          {"requests", times.size()},
          {"sent", counts.sent},
          {"stored", counts.stored},
          {"duplicates", counts.duplicates},
          {"wrong", counts.wrong},
          {"first_wrong", counts.first_wrong},
          {"broken", ended},
          {"processor_share", used / took},
          {"p50_ms", at(0.5)},
          {"p99_ms", at(0.99)},
          {"max_ms", at(1)}};
}

} // namespace

/// Prints one object of JSON; 1 when an answer was not as expected.
int main(int argc, char** argv) {
  wishes wanted;
  CLI::App app{"Sends the lines of a file to 127.0.0.1 and accounts for each."};
  app.add_option("port", wanted.port, "Where the service listens")->required();
  app.add_option("file", wanted.file, "Events, a line each")->required();
  app.add_option("--lines", wanted.lines, "Of a request; 1: as application/json")
    ->capture_default_str()
    ->check(CLI::PositiveNumber);
  app.add_option("--connections", wanted.connections, "Each sends when its answer is there")
    ->capture_default_str()
    ->check(CLI::PositiveNumber);
  app
    .add_option(
      "--expect", wanted.expect,
      "Of each line: stored now; duplicates: known already; either; status: nothing but 2xx")
    ->capture_default_str()
    ->check(CLI::IsMember({"stored", "duplicates", "either", "status"}));
  app.add_option("--seconds", wanted.seconds, "So long, the file again and again");
  app.add_flag("--until-broken", wanted.until_broken, "The service may end in between");
  CLI11_PARSE(app, argc, argv);
  try {
    auto seen = send_all(wanted);
    std::puts(seen.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return seen["wrong"] == 0 ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
