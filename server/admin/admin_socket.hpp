#pragma once
/// The local admin socket: lines in, lines out. What they mean is the admin actor's business.

#include "actors/ports/admin_port.hpp"

#include <functional>
#include <memory>
#include <string>

namespace phi {

class admin_socket : public admin_port {
public:
  /// `group`: its members may enter as well; empty: none.
  admin_socket(std::string path, std::string group);
  ~admin_socket() override; ///< ends all connections and removes the socket file

  /// Listens, with mode 0660, for root, the own user and the group. `handler` gets each request, in
  /// this object's thread. A socket file of a dead process is replaced, a live one is not.
  /// Called again after the actor died: only the handler is replaced.
  outcome open(std::function<void(admin_request_ptr)> handler) override;

  /// From now on nobody gets requests; when it was never opened it stays so.
  void release_handles() override;

private:
  class server;
  std::unique_ptr<server> server_;
};

} // namespace phi
