#include "server/systemd/inherited.hpp"

#include <systemd/sd-daemon.h>

#include <sys/socket.h>

namespace phi::systemd {

result<std::vector<owned_fd>> take_inherited_sockets() {
  std::vector<owned_fd> out;
  outcome all;
  int count = ::sd_listen_fds(1);
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd) {
    owned_fd socket{fd};
    bool serves = ::sd_is_socket_inet(fd, AF_UNSPEC, SOCK_STREAM, 1, 0) > 0;
    if (serves)
      out.push_back(std::move(socket));
    else if (all)
      all = outcome::failure(
        "the service manager handed over a socket (descriptor " + std::to_string(fd)
        + ") that is no listening TCP socket; in the socket unit use ListenStream= with"
          " a port or an address and a port, and leave Accept= at no");
  }
  if (!all)
    return all;
  return out;
}

} // namespace phi::systemd
