#pragma once
/// A listener's part in one exchange, played by the test.

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace phi::testing {

/// Takes one client of a listener, hears it, answers it and ends the connection. What it said;
/// empty: nobody came.
inline std::string serve_one(int listener, const std::string& answer) {
  pollfd one{listener, POLLIN, 0};
  if (::poll(&one, 1, 5000) <= 0)
    return {};
  int client = ::accept(listener, nullptr, nullptr);
  std::string heard(1024, '\0');
  auto size = ::recv(client, heard.data(), heard.size(), 0);
  heard.resize(size > 0 ? static_cast<size_t>(size) : 0);
  [[maybe_unused]] auto sent = ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
  ::close(client);
  return heard;
}

} // namespace phi::testing
