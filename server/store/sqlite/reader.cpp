#include "protocol/platform/files.hpp"
#include "server/store/sqlite/ports.hpp"

#include "actors/questions.hpp"
#include "server/statistics/answer_list.hpp"
#include "server/statistics/inspection.hpp"
#include "server/store/sqlite/connection.hpp"
#include "server/store/sqlite/cube_reader.hpp"
#include "server/store/sqlite/database_file.hpp"
#include "server/store/sqlite/identities.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <optional>
#include <sqlite3.h>
#include <unordered_map>

namespace phi::store {
namespace {

class sqlite_reader : public reader_port, private statistics::row_source {
public:
  explicit sqlite_reader(sqlite_settings settings)
    : settings_(std::move(settings)),
      damaged_(settings_.damaged) {}

  outcome open() override {
    try {
      forget_statements();
      db_.open(settings_.file, sqlite_connection::access::read_only);
      db_.set_busy_timeout(settings_.busy_timeout);
      db_.run("PRAGMA cache_size = -8192");
      return {};
    } catch (const std::exception& e) {
      return outcome::failure(e.what());
    }
  }

  query_answer answer(const reader_query& query, work_watch& watch) override {
    return try_answer(watch, [&] {
      return in_transaction(
        [&] { return std::visit([this](const auto& asked) { return answer_of(asked); }, query); });
    });
  }

  query_answer answer(const inspection_task& task, work_watch& watch) override {
    return try_answer(watch, [&]() -> query_answer {
      if (const auto* backup = std::get_if<backup_task>(&task))
        return copied(backup->file, watch); // VACUUM INTO is a transaction of its own
      return in_transaction([&] { return statistics::report(compare_all()).dump(); });
    });
  }

  void apply_settings(const config& settings) override {
    settings_ = sqlite_settings_of(settings);
    db_.set_busy_timeout(settings_.busy_timeout);
  }

  void close() override {
    forget_statements();
    db_.close();
  }

private:
  /// The copy is handed over open and without a name: whatever becomes of those who asked for it,
  /// none stays behind.
  query_answer copied(const std::string& file, work_watch& watch) {
    auto told = back_up(db_, file, watch);
    auto copy = open_file(file, open_mode::read);
    remove_file(file);
    if (!copy)
      return {error_code::internal, "cannot open the copy " + file, {}};
    return {.body = told.dump(), .file = std::make_shared<const owned_fd>(std::move(copy))};
  }

  /// As of the transaction that has begun.
  cube_reader& counts() {
    if (!counts_)
      counts_.emplace(db_);
    counts_->begin();
    return *counts_;
  }

  std::vector<statistics::compared> compare_all() {
    auto out = compare_counts(db_, counts());
    auto more = compare_identities(db_);
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }

  void forget_statements() {
    counts_.reset();
    statements_.clear();
  }

  template <class Work>
  query_answer try_answer(work_watch& watch, Work work) {
    auto out = try_watched(watch, work);
    db_.watched_by(nullptr);
    return out;
  }

  /// One transaction: all parts of an answer see the same data.
  template <class Work>
  query_answer in_transaction(Work work) {
    db_.run("BEGIN");
    std::string body = work();
    reset_statements();
    db_.run("COMMIT");
    return {.body = std::move(body)};
  }

  template <class Work>
  query_answer try_watched(work_watch& watch, Work work) {
    try {
      if (!db_.is_open())
        if (auto opened = open(); !opened)
          return {error_code::questions_unavailable, opened.why(), {}};
      db_.watched_by(&watch);
      return work();
    } catch (const sqlite_error& e) {
      auto why = db_.ended();
      if (why == end_cause::none && (e.code() & 0xff) == SQLITE_INTERRUPT)
        why = watch.check(); // it ended the check of a copy
      abandon();
      if (why != end_cause::none)
        return ended_answer(why);
      return {error_code::questions_unavailable, e.what(), {}};
    } catch (const damaged_day& e) {
      abandon();
      damaged_->add(e.day());
      return {error_code::questions_unavailable,
              std::string{e.what()} + "; it is made again from the events",
              {}};
    } catch (const newer_day& e) {
      abandon();
      return {error_code::questions_unavailable, e.what(), {}};
    } catch (const damaged_run& e) {
      abandon();
      return {error_code::questions_unavailable,
              std::string{e.what()} + "; the first event that it may hold has it made again",
              {}};
    } catch (const statistics::refused_question& e) {
      abandon();
      return {error_code::invalid_query, e.what(), {}};
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

  std::string answer_of(const statistics_query& query) {
    return query.answer(counts(), query.parameters, settings_.start_at_us);
  }
  std::string answer_of(const recent_events_query& query) {
    return statistics::recent_events(*this, query).dump();
  }
  /// A database of its own: nobody else is there.
  std::string answer_of(const cluster_query&) {
    return nlohmann::ordered_json{
      {"storage", "sqlite"},
      {"instances", {{{"instance", settings_.instance}, {"version", PHI_VERSION}, {"self", true}}}}}
      .dump();
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

  sqlite_settings settings_;
  std::shared_ptr<damaged_days> damaged_;
  sqlite_connection db_;
  std::optional<cube_reader> counts_;
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

reader_port_ptr make_sqlite_reader(sqlite_settings settings) {
  return std::make_shared<sqlite_reader>(std::move(settings));
}

} // namespace phi::store
