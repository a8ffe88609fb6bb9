#include "server/store/sqlite/ports.hpp"

#include "actors/questions.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/inspection.hpp"
#include "server/store/sqlite/connection.hpp"
#include "server/store/sqlite/database_file.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <filesystem>
#include <sqlite3.h>
#include <unistd.h>
#include <unordered_map>

namespace phi::store {
namespace {

class sqlite_reader : public reader_port, private statistics::row_source {
public:
  explicit sqlite_reader(sqlite_settings with) : with_(std::move(with)) {}

  std::string open() override {
    try {
      statements_.clear();
      db_.open(with_.file, sqlite_connection::access::read_only);
      db_.set_busy_timeout(with_.busy_timeout);
      db_.run("PRAGMA cache_size = -8192");
      return {};
    } catch (const std::exception& e) {
      return e.what();
    }
  }

  query_answer answer(const query& what, work_watch& watch) override {
    auto out = try_answer(what, watch);
    db_.watched_by(nullptr);
    return out;
  }

  void apply_settings(const config& settings) override {
    with_ = sqlite_settings_of(settings);
    db_.set_busy_timeout(with_.busy_timeout);
  }

  void close() override {
    statements_.clear();
    db_.close();
  }

private:
  /// The copy is handed over open and without a name: whatever becomes of those who asked for it,
  /// none stays behind.
  query_answer copied(const std::string& file, work_watch& watch) {
    auto told = back_up(db_, file, watch);
    int copy = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    ::unlink(file.c_str());
    if (copy < 0)
      return {error_code::internal, "cannot open the copy " + file, {}};
    return {.body = told.dump(), .file = {new int{copy}, [](const int* fd) {
                                            ::close(*fd);
                                            delete fd;
                                          }}};
  }

  query_answer try_answer(const query& what, work_watch& watch) {
    try {
      if (!db_.is_open())
        if (auto trouble = open(); !trouble.empty())
          return {error_code::questions_unavailable, trouble, {}};
      db_.watched_by(&watch);
      if (what.kind == query_kind::backup) // VACUUM INTO is a transaction of its own
        return copied(what.file, watch);
      // One transaction: all parts of an answer see the same data.
      db_.run("BEGIN");
      auto body = dispatch(what).dump();
      reset_statements();
      db_.run("COMMIT");
      return {.body = std::move(body)};
    } catch (const sqlite_error& e) {
      auto why = db_.ended();
      if (why == end_cause::none && (e.code() & 0xff) == SQLITE_INTERRUPT)
        why = watch.check(); // it ended the check of a copy
      abandon();
      if (why != end_cause::none)
        return ended_answer(why);
      return {error_code::questions_unavailable, e.what(), {}};
    } catch (const std::exception& e) {
      abandon();
      return {error_code::internal, e.what(), {}};
    }
  }

  /// A statement that has rows left would keep its view of the data beyond the transaction.
  void reset_statements() {
    for (auto& [text, ask] : statements_)
      ask.reset();
  }

  void abandon() noexcept {
    db_.watched_by(nullptr); // it would end the ROLLBACK as well
    try {
      reset_statements();
      if (!db_.autocommit())
        db_.run("ROLLBACK");
    } catch (const std::exception&) {
      close(); // the next question opens it anew
    }
  }

  nlohmann::ordered_json dispatch(const query& what) {
    switch (what.kind) {
      case query_kind::events: return statistics::recent_events(*this, what);
      case query_kind::verify: return statistics::verify(*this);
      case query_kind::cluster: // a database of its own: nobody else is there
        return {{"storage", "sqlite"},
                {"instances",
                 {{{"instance", with_.instance}, {"version", PHI_VERSION}, {"self", true}}}}};
      default: return statistics::answer_from_rollups(*this, what, with_.start_at_us);
    }
  }

  /// A statement is prepared once.
  statistics::row_cursor& ask(std::string_view sql,
                              const std::vector<statistics::parameter>& values) override {
    auto at = statements_.find(sql);
    if (at == statements_.end())
      at = statements_.emplace(sql, statement{db_, sql}).first;
    at->second.reset();
    at->second.bind_all(values);
    return at->second;
  }

  sqlite_settings with_;
  sqlite_connection db_;
  std::unordered_map<std::string_view, statement> statements_;
};

} // namespace

void remove_left_copies(const std::string& directory) {
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator{directory, ignored})
    if (auto name = file.path().filename().string();
        name.starts_with("backup-") && name.find(".db.part") != name.npos)
      std::filesystem::remove(file.path(), ignored);
}

reader_port_ptr make_sqlite_reader(sqlite_settings with) {
  return std::make_shared<sqlite_reader>(std::move(with));
}

} // namespace phi::store
