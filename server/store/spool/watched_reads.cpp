#include "server/store/spool/watched_reads.hpp"

#include <sqlite3.h>

namespace phi::store {
namespace {

[[noreturn]] void give_up() {
  throw sqlite_error{SQLITE_INTERRUPT, "it was given up for the stop"};
}

} // namespace

/// In place of those of the file.
struct watched_reads::methods : sqlite3_io_methods {
  sqlite3_file* file = nullptr;
  const sqlite3_io_methods* own = nullptr;
  work_watch* watch = nullptr;
  bool ended = false;

  static int read(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
    // That they are ours is why this is called; nobody else has them.
    auto& self = const_cast<methods&>(*static_cast<const methods*>(file->pMethods));
    self.ended = self.ended || self.watch->check() != end_cause::none;
    return self.ended ? SQLITE_INTERRUPT : self.own->xRead(file, to, size, at);
  }
};

watched_reads::watched_reads(sqlite_connection& db, work_watch* watch) {
  if (!watch)
    return;
  sqlite3_file* file = nullptr;
  int code = sqlite3_file_control(db.handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (code != SQLITE_OK || !file || !file->pMethods)
    return;
  methods_ = std::make_unique<methods>();
  static_cast<sqlite3_io_methods&>(*methods_) = *file->pMethods;
  methods_->file = file;
  methods_->own = file->pMethods;
  methods_->watch = watch;
  methods_->xRead = &methods::read;
  file->pMethods = methods_.get();
}

watched_reads::~watched_reads() {
  if (methods_)
    methods_->file->pMethods = methods_->own;
}

void watched_reads::throw_if_ended() const {
  if (methods_ && methods_->ended)
    give_up();
}

void check_watch(work_watch* watch) {
  if (watch && watch->check() != end_cause::none)
    give_up();
}

} // namespace phi::store
