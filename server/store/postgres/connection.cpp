#include "server/store/postgres/connection.hpp"

#include "actors/fault_point.hpp"
#include "config/defaults.hpp"
#include "protocol/platform/descriptor.hpp"
#include "server/store/postgres/statements.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <future>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>

namespace phi::store {
namespace {

/// The values of a statement as libpq wants them.
struct value_arrays {
  explicit value_arrays(const std::vector<postgres_value>& values) {
    for (const auto& value : values) {
      types.push_back(value.type);
      data.push_back(value.null ? nullptr : value.data.c_str());
      lengths.push_back(static_cast<int>(value.data.size()));
      formats.push_back(value.binary);
    }
  }
  int count() const { return static_cast<int>(types.size()); }

  std::vector<Oid> types;
  std::vector<const char*> data;
  std::vector<int> lengths;
  std::vector<int> formats;
};

} // namespace

// -- the connection -----------------------------------------------------------------------------

void postgres_connection::connect(const postgres_access& access) {
  close();
  if (auto readable = check_postgres_url(access.url); !readable)
    throw postgres_misfit{readable.why()};
  secrets_ = secret_words{access.url};
  connection_ = open_session(access, limit_, secrets_, watch_);
  PQsetnonblocking(connection_, 1);
  PQsetNoticeReceiver(
    connection_,
    [](void* own, const PGresult* notice) {
      const char* severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
      const char* text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
      if (severity && std::strcmp(severity, "WARNING") == 0)
        static_cast<postgres_connection*>(own)->warning_ = one_line(text ? text : "a warning");
    },
    this);
  refuse_what_does_not_fit();
  find_out_whether_direct();
}

void postgres_connection::refuse_what_does_not_fit() {
  const char* encoding = PQparameterStatus(connection_, "server_encoding");
  if (!encoding || std::strcmp(encoding, "UTF8") == 0)
    return;
  std::string name = PQdb(connection_);
  auto why = "the database " + name + " has the encoding " + encoding
             + ", which cannot hold all texts of events; make one that can: CREATE DATABASE " + name
             + "_utf8 ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0";
  close();
  throw postgres_misfit{why};
}

/// The number that a session gives its client, to cancel it by, is that of its process. A pooler
/// has no such process: it gives a number of its own.
void postgres_connection::find_out_whether_direct() {
  auto answer = run("SELECT pg_backend_pid()");
  direct_ = answer.step() && answer.integer(0) == PQbackendPID(connection_);
}

void postgres_connection::close() noexcept {
  if (connection_)
    PQfinish(connection_);
  connection_ = nullptr;
  queued_.clear();
  direct_ = false;
  prepared_.clear();
  prepared_in_doubt_ = false;
}

std::string postgres_connection::last_error() const {
  return secrets_.without(one_line(PQerrorMessage(connection_)));
}

void postgres_connection::lose(const std::string& why) {
  close();
  throw postgres_lost{why};
}

bool is_lost(const postgres_error& e) {
  return dynamic_cast<const postgres_lost*>(&e) || e.state() == "57P01" // admin_shutdown
         || e.state() == "57P02";                                       // crash_shutdown
}

bool postgres_connection::in_transaction() const {
  return connection_ && PQtransactionStatus(connection_) != PQTRANS_IDLE;
}

void postgres_connection::commit() {
  if (run("COMMIT").command() != "COMMIT")
    throw postgres_error{"the transaction was rolled back", {}};
  if (!warning_.empty())
    throw postgres_error{"the database warns at COMMIT: " + warning_, {}};
}

void postgres_connection::recover(const std::exception& e) noexcept {
  try {
    const auto* known = dynamic_cast<const postgres_error*>(&e);
    if (known && needs_new_session(*known))
      close();
    else if (in_transaction())
      run("ROLLBACK");
  } catch (const std::exception&) {
    close();
  }
}

bool needs_new_session(const postgres_error& e) {
  constexpr std::string_view states[] = {
    "25006",          // read_only_sql_transaction
    "3F000",          // invalid_schema_name
    "42P01", "42703", // undefined_table, undefined_column
  };
  return std::find(std::begin(states), std::end(states), e.state()) != std::end(states);
}

/// Has the server end the statement, which would go on without us. The request has a connection of
/// its own that libpq waits for without an end: so it has a thread of its own, which a server that
/// does not answer keeps.
void postgres_connection::give_up(end_cause why) {
  auto sent = std::make_shared<std::promise<void>>();
  auto done = sent->get_future();
  if (auto* request = PQgetCancel(connection_)) {
    std::thread{[request, sent] {
      char error[256];
      PQcancel(request, error, sizeof error);
      PQfreeCancel(request);
      sent->set_value();
    }}.detach();
    done.wait_for(std::chrono::milliseconds{30});
  }
  close();
  throw postgres_ended{why};
}

/// Waits for something to read, and with `for_room` for room to write as well.
void postgres_connection::wait(bool for_room) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - clock::now()).count();
  auto most = left;
  if (watch_) {
    if (auto why = watch_->check(); why != end_cause::none)
      give_up(why);
    most = std::min<decltype(left)>(left, work_watch::interval.count());
  }
  auto awaited = for_room ? interest::input_or_output : interest::input;
  auto ready = most > 0
                 ? wait_until_ready(PQsocket(connection_), awaited, std::chrono::milliseconds{most})
                 : readiness{};
  if (!ready && !ready.failed && most < left)
    return; // the callers look whether there is more to wait for
  if (!ready) {
    close();
    throw postgres_error{
      "the database did not answer within " + std::to_string(limit_.count()) + " ms", {}};
  }
  if ((ready.input || ready.broken) && PQconsumeInput(connection_) == 0)
    lose(last_error());
}

void postgres_connection::pause(std::chrono::milliseconds time) {
  for (auto end = clock::now() + time; clock::now() < end;) {
    if (auto why = watch_ ? watch_->check() : end_cause::none; why != end_cause::none)
      give_up(why);
    std::this_thread::sleep_for(work_watch::interval);
  }
}

void postgres_connection::flush() {
  for (int left = PQflush(connection_); left != 0; left = PQflush(connection_)) {
    if (left < 0)
      lose(last_error());
    wait(true);
  }
}

pg_result* postgres_connection::next_result() {
  while (PQisBusy(connection_)) {
    flush();
    wait(false);
  }
  return PQgetResult(connection_);
}

/// Throws the error that a result is.
void postgres_connection::expect(pg_result* result) const {
  auto status = PQresultStatus(result);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN
      || status == PGRES_PIPELINE_SYNC)
    return;
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  throw postgres_error{one_line(text ? text : PQresultErrorMessage(result)), state ? state : ""};
}

void postgres_connection::send(const std::string& sql, const std::vector<postgres_value>& values,
                               bool binary) {
  if (!connection_)
    throw postgres_error{"not connected", {}};
  value_arrays arrays{values};
  if (PQsendQueryParams(connection_, sql.c_str(), arrays.count(), arrays.types.data(),
                        arrays.data.data(), arrays.lengths.data(), arrays.formats.data(), binary)
      == 0)
    lose(last_error());
}

postgres_rows postgres_connection::run(const std::string& sql,
                                       const std::vector<postgres_value>& values, bool binary) {
  begin_call();
  send(sql, values, binary);
  flush();
  return finish_call();
}

void postgres_connection::run_script(const std::string& sql) {
  begin_call();
  if (!connection_)
    throw postgres_error{"not connected", {}};
  if (PQsendQuery(connection_, sql.c_str()) == 0)
    lose(last_error());
  flush();
  finish_call();
}

/// The last result of a call, or its first error.
postgres_rows postgres_connection::finish_call() {
  postgres_rows out{next_result()};
  while (auto* more = next_result()) {
    postgres_rows next{more};
    if (PQresultStatus(out.get()) != PGRES_FATAL_ERROR)
      out = std::move(next);
  }
  if (PQstatus(connection_) != CONNECTION_OK)
    lose(last_error());
  expect(out.get());
  return out;
}

void postgres_connection::begin_queue() {
  if (!connection_)
    throw postgres_error{"not connected", {}};
  if (queued_.empty() && PQenterPipelineMode(connection_) == 0)
    lose(last_error());
}

void postgres_connection::queue(const std::string& sql, const std::vector<postgres_value>& values,
                                bool binary) {
  begin_queue();
  send(sql, values, binary);
  queued_.push_back(true);
}

void postgres_connection::prepare(const char* sql, const std::vector<postgres_value>& values) {
  if (std::exchange(prepared_in_doubt_, false)) {
    send("DEALLOCATE ALL", {}, false);
    queued_.push_back(false);
  }
  auto name = "phi" + std::to_string(prepared_.size());
  value_arrays arrays{values};
  if (PQsendPrepare(connection_, name.c_str(), sql, arrays.count(), arrays.types.data()) == 0)
    lose(last_error());
  queued_.push_back(false);
  prepared_.emplace(sql, std::move(name));
}

void postgres_connection::queue_prepared(const char* sql, const std::vector<postgres_value>& values,
                                         bool binary) {
  if (!direct_)
    return queue(sql, values, binary);
  begin_queue();
  if (!prepared_.contains(sql))
    prepare(sql, values);
  value_arrays arrays{values};
  if (PQsendQueryPrepared(connection_, prepared_.at(sql).c_str(), arrays.count(),
                          arrays.data.data(), arrays.lengths.data(), arrays.formats.data(), binary)
      == 0)
    lose(last_error());
  queued_.push_back(true);
}

std::vector<postgres_rows> postgres_connection::run_queued() {
  begin_call();
  if (PQpipelineSync(connection_) == 0)
    lose(last_error());
  std::vector<postgres_rows> out;
  std::optional<postgres_error> wrong;
  for (bool wanted : std::exchange(queued_, {})) {
    flush();
    auto* result = next_result();
    if (!result)
      lose("the connection ended");
    postgres_rows rows{result};
    while (auto* more = next_result())
      PQclear(more);
    try {
      if (!wrong)
        expect(rows.get());
    } catch (const postgres_error& e) {
      wrong = e;
    }
    if (wanted)
      out.push_back(std::move(rows));
  }
  postgres_rows sync{next_result()};
  if (PQstatus(connection_) != CONNECTION_OK || PQexitPipelineMode(connection_) == 0)
    lose(wrong ? wrong->what() : last_error());
  if (wrong) {
    prepared_.clear();
    prepared_in_doubt_ = direct_;
    throw *wrong;
  }
  return out;
}

int64_t postgres_connection::copy_in(const std::string& sql, std::string_view data) {
  begin_call();
  send(sql, {}, false);
  flush();
  expect(postgres_rows{next_result()}.get());
  constexpr size_t piece = 64 * 1024;
  for (size_t at = 0; at < data.size(); at += piece) {
    auto part = data.substr(at, piece);
    while (PQputCopyData(connection_, part.data(), static_cast<int>(part.size())) == 0)
      wait(true);
  }
  flush();
  fault_point("store.copy");
  while (PQputCopyEnd(connection_, nullptr) == 0)
    wait(true);
  flush();
  return finish_call().changed();
}

void queue_begin(postgres_connection& db, std::chrono::milliseconds limit,
                 std::chrono::milliseconds lock) {
  auto ms = [](std::chrono::milliseconds time) {
    return postgres_value::text(std::to_string(time.count()));
  };
  db.queue("BEGIN");
  db.queue_prepared(postgres_sql::limit_transaction,
                    {ms(limit),
                     ms(std::min<std::chrono::milliseconds>(limit, defaults::transaction_silence)),
                     ms(lock)});
}

void begin_limited(postgres_connection& db, std::chrono::milliseconds limit,
                   std::chrono::milliseconds lock) {
  queue_begin(db, limit, lock);
  db.run_queued();
}

} // namespace phi::store
