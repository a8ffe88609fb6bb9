#pragma once
/// The id of the database that a connection writes to, for other threads. It is made at random when
/// a database has none, and made anew when a copy takes a database's place: who remembers what a
/// database already has (the bookmarks of `phictl import`) sees by it that this is another one.

#include <mutex>
#include <string>
#include <utility>

namespace phi::store {

class database_id {
public:
  void set(std::string id) {
    std::lock_guard lock{mutex_};
    id_ = std::move(id);
  }
  std::string get() const {
    std::lock_guard lock{mutex_};
    return id_;
  }

private:
  mutable std::mutex mutex_;
  std::string id_;
};

} // namespace phi::store
