#pragma once
/// Somebody else who writes to a database of SQLite's, right after each commit of a connection.

#include <sqlite3.h>
#include <stdexcept>
#include <string>

namespace phi::testing {

/// Both databases must be open in WAL mode; `of` must outlive it.
class second_writer {
public:
  /// So many times.
  second_writer(sqlite3* of, const std::string& file, int times) : of_(of), left_(times) {
    if (sqlite3_open(file.c_str(), &own_) != SQLITE_OK)
      throw std::runtime_error("cannot open " + file);
    sqlite3_wal_hook(of_, write, this);
  }
  ~second_writer() {
    sqlite3_wal_hook(of_, nullptr, nullptr);
    sqlite3_close(own_);
  }
  second_writer(const second_writer&) = delete;

private:
  static int write(void* self, sqlite3*, const char*, int) {
    auto& writer = *static_cast<second_writer*>(self);
    if (writer.left_-- > 0)
      return sqlite3_exec(writer.own_, "PRAGMA user_version = 3", nullptr, nullptr, nullptr);
    return SQLITE_OK;
  }

  sqlite3* of_;
  sqlite3* own_ = nullptr;
  int left_;
};

} // namespace phi::testing
