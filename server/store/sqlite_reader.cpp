#include "server/store/sqlite_store.hpp"

#include "config/defaults.hpp"
#include "server/store/answers.hpp"
#include "server/store/inspection.hpp"
#include "server/store/sqlite.hpp"
#include "server/store/sqlite_file.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <sqlite3.h>
#include <unordered_map>

namespace phi::store {
namespace {

class sqlite_reader : public reader_port, private row_source {
public:
  explicit sqlite_reader(sqlite_settings with) : with_(std::move(with)) {}

  std::string open() override {
    try {
      statements_.clear();
      db_.open(with_.file, database::access::read_only);
      db_.set_busy_timeout(with_.busy_timeout);
      db_.run("PRAGMA cache_size = -8192");
      sqlite3_progress_handler(db_.handle(), 10'000, &sqlite_reader::out_of_time, this);
      return {};
    } catch (const std::exception& e) {
      return e.what();
    }
  }

  query_answer answer(const query& what) override {
    // An operator who wants a copy or a check of everything waits for it.
    bool long_one = what.kind == query_kind::backup || what.kind == query_kind::verify;
    give_up_at_ = std::chrono::steady_clock::now()
                  + (long_one ? defaults::inspection_timeout : with_.query_timeout);
    try {
      if (!db_.is_open())
        if (auto trouble = open(); !trouble.empty())
          return {error_code::store_unavailable, trouble, {}};
      if (what.kind == query_kind::backup) // VACUUM INTO is a transaction of its own
        return {.body = back_up(db_, what.file).dump()};
      // One transaction: all parts of an answer see the same data.
      db_.run("BEGIN");
      auto body = dispatch(what).dump();
      reset_statements();
      db_.run("COMMIT");
      return {.body = std::move(body)};
    } catch (const sqlite_error& e) {
      abandon();
      if ((e.code() & 0xff) == SQLITE_INTERRUPT)
        return {error_code::query_timeout,
                "the question took longer than stats.query_timeout_ms; ask for"
                " a shorter range or fewer parts",
                {}};
      return {error_code::store_unavailable, e.what(), {}};
    } catch (const std::exception& e) {
      abandon();
      return {error_code::internal, e.what(), {}};
    }
  }

  void adopt(const config& settings) override {
    with_ = sqlite_settings_of(settings);
    db_.set_busy_timeout(with_.busy_timeout);
  }

  void close() override {
    statements_.clear();
    db_.close();
  }

private:
  static int out_of_time(void* self) {
    return std::chrono::steady_clock::now() > static_cast<sqlite_reader*>(self)->give_up_at_;
  }

  /// A statement that has rows left would keep its view of the data beyond the transaction.
  void reset_statements() {
    for (auto& [text, ask] : statements_)
      ask.reset();
  }

  void abandon() noexcept {
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
      case query_kind::events: return recent_events(*this, what);
      case query_kind::verify: return verify(*this);
      case query_kind::cluster: // a database of its own: nobody else is there
        return {{"storage", "sqlite"},
                {"instances",
                 {{{"instance", with_.instance}, {"version", PHI_VERSION}, {"self", true}}}}};
      default: return answer_from_rollups(*this, what, with_.start_at_us);
    }
  }

  /// A statement is prepared once.
  row_cursor& ask(std::string_view sql, const std::vector<parameter>& values) override {
    auto at = statements_.find(sql);
    if (at == statements_.end())
      at = statements_.emplace(sql, statement{db_, sql}).first;
    at->second.reset();
    at->second.bind_all(values);
    return at->second;
  }

  sqlite_settings with_;
  database db_;
  std::unordered_map<std::string_view, statement> statements_;
  std::chrono::steady_clock::time_point give_up_at_{};
};

} // namespace

reader_port_ptr make_sqlite_reader(sqlite_settings with) {
  return std::make_shared<sqlite_reader>(std::move(with));
}

} // namespace phi::store
