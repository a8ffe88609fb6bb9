#pragma once
/// A disk under SQLite that fails when the test says so: the system's own file methods, but for the
/// calls that fail. For the connections that are opened while it lives, of any code.

#include <atomic>
#include <cstring>
#include <sqlite3.h>
#include <string>

namespace phi::testing {

class failing_disk {
  static constexpr int healthy = 1 << 30;

public:
  failing_disk() {
    auto& mine = vfs();
    if (!mine.zName) {
      mine = *sqlite3_vfs_find(nullptr);
      real_open() = mine.xOpen;
      mine.zName = "phi-failing";
      mine.xOpen = open;
    }
    was_ = sqlite3_vfs_find(nullptr);
    sqlite3_vfs_register(&mine, 1);
    heal();
  }
  ~failing_disk() {
    heal();
    sqlite3_vfs_register(was_, 1);
  }
  failing_disk(const failing_disk&) = delete;

  /// The Nth flush from now on fails, and those after it, until `heal` or for so many `times`. Of
  /// write-ahead logs only.
  void fail_flush_of_log(int nth = 1, int times = healthy) {
    times_left() = times;
    flushes_left() = nth;
  }
  /// `code`: SQLITE_FULL for a disk that is full.
  void fail_write_of_log(int nth = 1, int code = SQLITE_IOERR_WRITE) {
    write_error() = code;
    times_left() = healthy;
    writes_left() = nth;
  }
  void heal() { flushes_left() = writes_left() = healthy; }
  /// How many calls have failed.
  int failed() const { return failures(); }

private:
  static sqlite3_vfs& vfs() {
    static sqlite3_vfs mine{};
    return mine;
  }
  using open_function = int (*)(sqlite3_vfs*, const char*, sqlite3_file*, int, int*);
  static open_function& real_open() {
    static open_function real;
    return real;
  }
  static const sqlite3_io_methods*& real_methods() {
    static const sqlite3_io_methods* real;
    return real;
  }
  static std::atomic<int>& flushes_left() {
    static std::atomic<int> left{healthy};
    return left;
  }
  static std::atomic<int>& writes_left() {
    static std::atomic<int> left{healthy};
    return left;
  }
  static std::atomic<int>& write_error() {
    static std::atomic<int> code{SQLITE_IOERR_WRITE};
    return code;
  }
  static std::atomic<int>& times_left() {
    static std::atomic<int> left{healthy};
    return left;
  }
  static std::atomic<int>& failures() {
    static std::atomic<int> n{0};
    return n;
  }

  static bool fails(std::atomic<int>& left) {
    if (left == healthy || --left > 0)
      return false;
    left = --times_left() > 0 ? 0 : healthy; // and those that follow
    ++failures();
    return true;
  }

  static int open(sqlite3_vfs* self, const char* name, sqlite3_file* file, int flags, int* out) {
    int code = real_open()(self, name, file, flags, out);
    if (code != SQLITE_OK || !(flags & SQLITE_OPEN_WAL))
      return code;
    // A log has the same methods whoever opens it.
    static sqlite3_io_methods mine;
    real_methods() = file->pMethods;
    mine = *file->pMethods;
    mine.xSync = [](sqlite3_file* of, int how) {
      return fails(flushes_left()) ? SQLITE_IOERR_FSYNC : real_methods()->xSync(of, how);
    };
    mine.xWrite = [](sqlite3_file* of, const void* data, int size, sqlite3_int64 at) {
      return fails(writes_left()) ? write_error().load()
                                  : real_methods()->xWrite(of, data, size, at);
    };
    file->pMethods = &mine;
    return SQLITE_OK;
  }

  sqlite3_vfs* was_ = nullptr;
};

} // namespace phi::testing
