#include "protocol/platform/addresses.hpp"

#include <arpa/inet.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace phi {
namespace {

using address_list = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

found_addresses find(const std::string& host, int flags) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = flags;
  addrinfo* all = nullptr;
  if (int code = ::getaddrinfo(host.c_str(), nullptr, &wanted, &all); code != 0)
    return {{}, ::gai_strerror(code)};
  address_list owner{all, &::freeaddrinfo};
  found_addresses out;
  for (const auto* address = all; address; address = address->ai_next) {
    char text[NI_MAXHOST];
    if (::getnameinfo(address->ai_addr, address->ai_addrlen, text, sizeof text, nullptr, 0,
                      NI_NUMERICHOST)
        == 0)
      out.list.emplace_back(text);
  }
  return out;
}

} // namespace

std::vector<unsigned char> bytes_of_address(const std::string& text) {
  std::vector<unsigned char> bytes(sizeof(in6_addr));
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1)
    bytes.resize(sizeof(in_addr));
  else if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1)
    bytes.clear();
  return bytes;
}

std::string text_of_address(const std::vector<unsigned char>& bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  int family = bytes.size() == sizeof(in_addr) ? AF_INET : AF_INET6;
  return ::inet_ntop(family, bytes.data(), text, sizeof text) ? text : "";
}

bool is_loopback_address(const std::string& text) {
  addrinfo numbers_only{};
  numbers_only.ai_flags = AI_NUMERICHOST;
  addrinfo* list = nullptr;
  if (::getaddrinfo(text.c_str(), nullptr, &numbers_only, &list) != 0)
    return false;
  address_list owner{list, &::freeaddrinfo};
  if (list->ai_family == AF_INET) {
    const auto& v4 = *reinterpret_cast<const sockaddr_in*>(list->ai_addr);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6*>(list->ai_addr)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

found_addresses read_addresses(const std::string& text) {
  return find(text, AI_NUMERICHOST);
}

found_addresses look_up_addresses(const std::string& host) {
  return find(host, 0);
}

} // namespace phi
