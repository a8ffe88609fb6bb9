#include "server/store/postgres/ports.hpp"

#include "actors/log.hpp"
#include "actors/questions.hpp"
#include "config/defaults.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/statistics/answer_list.hpp"
#include "server/statistics/inspection.hpp"
#include "server/store/postgres/connection.hpp"
#include "server/store/postgres/cube_tally.hpp"
#include "server/store/postgres/statements.hpp"

#include <nlohmann/json.hpp>

#include <functional>
#include <map>
#include <optional>

namespace phi::store {
namespace {

using std::chrono::milliseconds;

constexpr auto query_canceled = "57014"; // by statement_timeout

class postgres_reader : public reader_port, private statistics::row_source {
public:
  explicit postgres_reader(postgres_settings settings) : settings_(std::move(settings)) {}

  /// Connects with the first question: neither the start nor ingest waits for it.
  outcome open() override { return {}; }

  query_answer answer(const reader_query& query, work_watch& watch) override {
    return try_answer(watch, settings_.query_timeout, [&] {
      return std::visit([this](const auto& asked) { return answer_of(asked); }, query);
    });
  }

  query_answer answer(const inspection_task& task, work_watch& watch) override {
    if (std::holds_alternative<backup_task>(task))
      return {error_code::invalid_query,
              "the events are in PostgreSQL: back it up with pg_dump or its own means",
              {}};
    return try_answer(watch, defaults::inspection_timeout, [&] {
      auto from = statistics::number(*this, postgres_sql::raw_from_day);
      auto count = [&](std::string_view sql) {
        auto& row = ask(sql, {from});
        return row.step() ? row.integer(0) : 0;
      };
      statistics::compared identities{"identities", count(postgres_sql::rows_kept),
                                      count(postgres_sql::rows_with_identity)};
      auto all = compare_counts(*this, counts_, from);
      all.push_back(identities);
      return statistics::report(all).dump();
    });
  }

  void apply_settings(const config& settings) override {
    settings_ = postgres_settings_of(settings);
  }

  void close() override {
    rows_.clear();
    db_.close();
  }

private:
  /// The text of an answer, made within a transaction.
  using work = std::function<std::string()>;

  query_answer try_answer(work_watch& watch, milliseconds limit, const work& ask) {
    db_.watched_by(&watch);
    auto out = try_watched(limit, ask);
    db_.watched_by(nullptr);
    return out;
  }

  query_answer try_watched(milliseconds limit, const work& ask) {
    try {
      return {.body = on_live_session(
                db_, [&] { return ask_in_transaction(limit, ask); }, [this] { return !begun_; })};
    } catch (const postgres_ended& e) {
      rows_.clear();
      return ended_answer(e.why());
    } catch (const postgres_error& e) {
      abandon();
      if (e.state() == query_canceled)
        return ended_answer(end_cause::out_of_time);
      log_debug("reader", "cannot ask the database", {{"cause", e.what()}});
      // Where the database is, is nobody's business but an operator's: the log says it.
      return {error_code::questions_unavailable,
              "the database does not answer; events are still taken",
              {}};
    } catch (const damaged_day& e) {
      abandon();
      return {error_code::questions_unavailable, e.what(), {}};
    } catch (const newer_day& e) {
      abandon();
      return {error_code::questions_unavailable, e.what(), {}};
    } catch (const not_taken_over& e) {
      abandon();
      return {error_code::questions_unavailable, e.what(), {}};
    } catch (const statistics::refused_question& e) {
      abandon();
      return {error_code::invalid_query, e.what(), {}};
    } catch (const std::exception& e) {
      abandon();
      return {error_code::internal, e.what(), {}};
    }
  }

  std::string ask_in_transaction(milliseconds limit, const work& ask) {
    rows_.clear();
    begun_ = false;
    counts_.begin();
    if (!db_.is_open()) {
      counts_.forget();
      db_.connect({.url = settings_.url,
                   .connect_timeout = settings_.connect_timeout,
                   .for_writing = false,
                   .name = "phi-backend " + settings_.instance + " reader"});
    }
    // The server ends the statement; our own limit is for a server that does not answer at all.
    db_.set_limit(limit + defaults::reader_grace);
    // One snapshot: all parts of an answer see the same data.
    db_.queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    // No day may be dropped between the lines of its rows and the rows.
    db_.queue("LOCK TABLE ONLY event IN ACCESS SHARE MODE");
    db_.queue("SET LOCAL statement_timeout = "
              + std::to_string(std::max<int64_t>(limit.count(), 1)));
    db_.run_queued();
    begun_ = true;
    auto body = ask();
    db_.run("COMMIT");
    rows_.clear();
    return body;
  }

  std::string answer_of(const statistics_query& query) {
    return query.answer(counts_, query.parameters, settings_.start_at_us);
  }
  std::string answer_of(const recent_events_query& query) {
    return statistics::recent_events(*this, query).dump();
  }
  std::string answer_of(const cluster_query&) { return cluster().dump(); }

  nlohmann::ordered_json cluster() {
    auto list = nlohmann::ordered_json::array();
    auto time = [](std::optional<int64_t> at_us) {
      return at_us ? nlohmann::ordered_json(format_rfc3339(*at_us)) : nlohmann::ordered_json{};
    };
    for (auto& row = ask(postgres_sql::instances, {}); row.step();) {
      std::string name, version, state, maintains, has_slot, wanted;
      std::optional<int64_t> started_us, committed_us;
      int64_t spooled = 0;
      statistics::read_columns(row, name, version, state, started_us, committed_us, spooled,
                               maintains, has_slot, wanted);
      list.push_back({{"instance", name},
                      {"version", version},
                      {"state", state},
                      {"startedAt", time(started_us)},
                      {"lastCommitAt", time(committed_us)},
                      {"spooled", spooled},
                      {"maintains", maintains == "t"},
                      {"hasRestartSlot", has_slot == "t"},
                      {"hasTurn", has_slot == "t"}, // for earlier versions of phictl
                      {"wanted", wanted},
                      {"self", name == settings_.instance}});
    }
    return {{"storage", "postgres"}, {"instances", std::move(list)}};
  }

  statistics::row_cursor& ask(std::string_view sql,
                              const std::vector<statistics::parameter>& values) override {
    std::vector<postgres_value> given;
    for (const auto& value : values)
      given.push_back(postgres_value::of(value));
    auto rows = db_.run(std::string{sql}, given);
    return rows_.insert_or_assign(sql, std::move(rows)).first->second;
  }

  void abandon() noexcept {
    rows_.clear();
    db_.watched_by(nullptr);
    try {
      if (db_.in_transaction())
        db_.run("ROLLBACK");
    } catch (const std::exception&) {
      db_.close(); // the next question connects anew
    }
  }

  postgres_settings settings_;
  postgres_connection db_;
  cube_tally counts_{db_};
  bool begun_ = false; ///< the transaction of the question under way
  std::map<std::string_view, postgres_rows> rows_;
};

} // namespace

reader_port_ptr make_postgres_reader(postgres_settings settings) {
  return std::make_shared<postgres_reader>(std::move(settings));
}

} // namespace phi::store
