// Sends the lines of a file, so many a request, over connections that are kept, and accounts for
// every one of them: what was stored, what was there before, and what got no such answer.

#include <nlohmann/json.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

/// Requests as they go over the wire, one after the other.
class requests {
public:
  requests(const char* file, size_t lines_each) : lines_each_(lines_each) {
    std::ifstream in{file, std::ios::binary};
    text_.assign(std::istreambuf_iterator<char>{in}, {});
  }

  /// False: there are no more.
  bool next(std::string& out) {
    auto end = at_;
    for (size_t i = 0; i < lines_each_ && end < text_.size(); ++i)
      end = text_.find('\n', end) + 1;
    if (end == at_)
      return false;
    std::string_view body{text_.data() + at_, end - at_};
    at_ = end;
    out = "POST /api/v1/events HTTP/1.1\r\nHost: bench\r\nContent-Type: ";
    out += lines_each_ == 1 ? "application/json" : "application/x-ndjson";
    out += "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    out += body;
    return true;
  }

private:
  std::string text_;
  size_t at_ = 0;
  size_t lines_each_;
};

struct account {
  uint64_t requests = 0;
  uint64_t stored = 0;
  uint64_t duplicates = 0;
  uint64_t spooled = 0;
  uint64_t refused = 0; ///< requests
  std::vector<double> took_ms;
};

uint64_t number_behind(std::string_view answer, std::string_view name) {
  auto at = answer.find(name);
  return at == answer.npos ? 0 : std::strtoull(answer.data() + at + name.size(), nullptr, 10);
}

class connection {
public:
  connection(int port, int epoll) : epoll_(epoll) {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
      throw std::runtime_error("cannot connect");
    }
    epoll_event want{.events = 0, .data = {.ptr = this}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket_, &want);
  }
  ~connection() { ::close(socket_); }
  connection(const connection&) = delete;

  /// False: there is nothing more to send.
  bool start(requests& from) {
    if (!from.next(out_))
      return false;
    sent_ = 0;
    in_.clear();
    began_ = clock_type::now();
    write();
    return true;
  }

  /// True: the answer is there.
  bool ready(account& counts) {
    if (sent_ < out_.size()) {
      write();
      return false;
    }
    char buffer[16384];
    auto got = ::recv(socket_, buffer, sizeof buffer, 0);
    if (got <= 0) {
      throw std::runtime_error("a connection ended before its answer");
    }
    in_.append(buffer, static_cast<size_t>(got));
    auto head = in_.find("\r\n\r\n");
    if (head == in_.npos || in_.size() < head + 4 + number_behind(in_, "Content-Length: "))
      return false;
    add_to(counts);
    return true;
  }

private:
  void write() {
    while (sent_ < out_.size()) {
      auto n =
        ::send(socket_, out_.data() + sent_, out_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0 && errno == EAGAIN)
        break;
      if (n < 0) {
        throw std::runtime_error("cannot send");
      }
      sent_ += static_cast<size_t>(n);
    }
    epoll_event want{.events = sent_ < out_.size() ? EPOLLOUT : EPOLLIN, .data = {.ptr = this}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket_, &want);
  }

  void add_to(account& counts) const {
    auto took = clock_type::now() - began_;
    counts.took_ms.push_back(std::chrono::duration<double, std::milli>(took).count());
    ++counts.requests;
    auto status = std::strtol(in_.c_str() + 9, nullptr, 10);
    counts.refused += status >= 300;
    counts.stored += number_behind(in_, "\"stored\":");
    counts.duplicates += number_behind(in_, "\"duplicates\":");
    counts.spooled += status == 202;
  }

  int epoll_;
  int socket_ = -1;
  std::string out_;
  size_t sent_ = 0;
  std::string in_;
  clock_type::time_point began_;
};

/// Sends everything; throws when there is no answer.
nlohmann::ordered_json send_all(int port, requests from, size_t number) {
  int epoll = ::epoll_create1(0);
  std::vector<std::unique_ptr<connection>> connections;
  for (; number > 0; --number)
    connections.push_back(std::make_unique<connection>(port, epoll));
  account counts;
  size_t waiting = 0;
  auto began = clock_type::now();
  for (const auto& one : connections)
    waiting += one->start(from);
  epoll_event events[64];
  while (waiting > 0) {
    auto n = ::epoll_wait(epoll, events, std::size(events), 60'000);
    if (n <= 0)
      throw std::runtime_error("no answer within a minute");
    for (int i = 0; i < n; ++i) {
      auto* one = static_cast<connection*>(events[i].data.ptr);
      if (one->ready(counts) && !one->start(from))
        --waiting;
    }
  }
  auto took = std::chrono::duration<double>(clock_type::now() - began).count();
  std::sort(counts.took_ms.begin(), counts.took_ms.end());
  auto at = [&](double share) {
    return counts.took_ms[static_cast<size_t>(share * static_cast<double>(counts.requests - 1))];
  };
  return {{"seconds", took},
          {"requests", counts.requests},
          {"stored", counts.stored},
          {"duplicates", counts.duplicates},
          {"spooled", counts.spooled},
          {"refused", counts.refused},
          {"p50_ms", at(0.5)},
          {"p99_ms", at(0.99)},
          {"max_ms", counts.took_ms.back()}};
}

} // namespace

/// Prints one object of JSON.
int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: ingest_client PORT FILE.ndjson LINES-A-REQUEST CONNECTIONS\n");
    return 2;
  }
  auto number = [&](int at) { return std::strtoul(argv[at], nullptr, 10); };
  try {
    auto seen = send_all(static_cast<int>(number(1)), {argv[2], number(3)}, number(4));
    std::puts(seen.dump().c_str());
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
