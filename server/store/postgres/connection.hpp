#pragma once
/// A thin, owning face of libpq. Every wait has an end: a server that is away, cut off or stuck
/// costs at most the limit. Included in this folder only.

#include "actors/ports/work_watch.hpp"
#include "protocol/event.hpp"
#include "server/statistics/row_source.hpp"
#include "server/store/postgres/connecting.hpp"
#include "server/store/postgres/url.hpp"
#include "server/store/postgres/values.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

struct pg_conn;
struct pg_result;

namespace phi::store {

/// Thrown inside this folder; the ports turn it into values.
class postgres_error : public std::runtime_error {
public:
  postgres_error(const std::string& text, std::string state)
    : std::runtime_error(text),
      state_(std::move(state)) {}
  /// SQLSTATE; empty: the connection failed, or the limit is over.
  const std::string& state() const { return state_; }

private:
  std::string state_;
};

/// Waiting does not mend it: the URL, the database or another instance is not as it must be.
class postgres_misfit : public postgres_error {
public:
  explicit postgres_misfit(const std::string& text) : postgres_error(text, {}) {}
};

/// The SQLSTATE of a lock that was waited for in vain.
inline constexpr auto lock_not_available = "55P03";

/// Whether a new session may do what this one cannot: the server takes no writes any more, where
/// another host of the URL may; or a table that was there is gone, and a new session looks at the
/// schema.
bool needs_new_session(const postgres_error& e);

/// The session has ended: by the server, a pooler, a firewall, or the network.
class postgres_lost : public postgres_error {
public:
  explicit postgres_lost(const std::string& text) : postgres_error(text, {}) {}
};

/// Whether the session has ended, or is about to: the server said so.
bool is_lost(const postgres_error& e);

/// The call was given up because its watch said so.
class postgres_ended : public postgres_error {
public:
  explicit postgres_ended(end_cause why) : postgres_error("the call was given up", {}), why_(why) {}
  end_cause why() const { return why_; }

private:
  end_cause why_;
};

/// One connection. Used by one thread. Any error but one of the server's (SQLSTATE) ends it.
class postgres_connection {
public:
  postgres_connection() = default;
  ~postgres_connection() { close(); }
  postgres_connection(const postgres_connection&) = delete;
  postgres_connection& operator=(const postgres_connection&) = delete;

  /// Blocks up to the connect time-out, and then as a call does. A watch ends it.
  void connect(const postgres_access& access);
  bool is_open() const { return connection_ != nullptr; }
  void close() noexcept;

  /// How long each following call may take, as a whole.
  void set_limit(std::chrono::milliseconds limit) { limit_ = limit; }
  std::chrono::milliseconds limit() const { return limit_; }

  /// Every wait looks there and gives the call up when it is told to: the server is asked to cancel
  /// it, and the connection ends. Null: nobody. It must outlive the calls.
  void watched_by(work_watch* watch) { watch_ = watch; }

  /// Lets time pass, under the watch.
  void pause(std::chrono::milliseconds time);

  /// One statement. `binary`: the result's columns come in binary.
  postgres_rows run(const std::string& sql, const std::vector<postgres_value>& values = {},
                    bool binary = false);

  /// Several statements without values or rows.
  void run_script(const std::string& sql);

  /// Puts a statement behind the others of one round trip.
  void queue(const std::string& sql, const std::vector<postgres_value>& values = {},
             bool binary = false);
  /// The same for a text that is always the same: the server reads and plans it once a session.
  /// Behind a pooler, which may give every transaction another session, as `queue`.
  void queue_prepared(const char* sql, const std::vector<postgres_value>& values,
                      bool binary = false);
  /// Sends what was queued and gives the rows of each. The first error of the server is thrown when
  /// all have been heard.
  std::vector<postgres_rows> run_queued();

  /// COPY ... FROM STDIN: gives the number of rows.
  int64_t copy_in(const std::string& sql, std::string_view data);

  /// Whether a transaction is open.
  bool in_transaction() const;

  /// COMMIT that is what it says. A server that warns has committed, but not as it was told to:
  /// its standby may not have it. Throws then, and when the server rolled back instead.
  void commit();

  /// Ends a transaction that failed, and the session if that cannot be done or `e` asks for it.
  void recover(const std::exception& e) noexcept;

private:
  using clock = std::chrono::steady_clock;

  void begin_call() {
    end_ = clock::now() + limit_;
    warning_.clear();
  }
  void find_out_whether_direct();
  void begin_queue();
  void prepare(const char* sql, const std::vector<postgres_value>& values);
  void send(const std::string& sql, const std::vector<postgres_value>& values, bool binary);
  void flush();
  postgres_rows finish_call();
  pg_result* next_result();
  void wait(bool for_room);
  void expect(pg_result* result) const;
  void refuse_what_does_not_fit();
  [[noreturn]] void lose(const std::string& why);
  std::string last_error() const;
  [[noreturn]] void give_up(end_cause why);

  pg_conn* connection_ = nullptr;
  secret_words secrets_;
  std::string warning_; ///< of the present call
  std::chrono::milliseconds limit_{5000};
  clock::time_point end_{};
  work_watch* watch_ = nullptr;
  std::vector<bool> queued_;       ///< an entry for each answer to come; whether somebody wants it
  bool direct_ = false;            ///< no pooler between: the session is ours
  bool prepared_in_doubt_ = false; ///< after an error nobody knows which of them are there
  std::unordered_map<std::string_view, std::string> prepared_; ///< text -> name
};

/// Does `work`, which connects when it must. A session may have been ended while nobody used it,
/// which shows with its next use and is no failure of the database: where one that was there is
/// lost, it is done once more, if `may_repeat` says that nothing of it can have been done.
template <class Work, class May>
auto on_live_session(postgres_connection& db, Work work, May may_repeat) -> decltype(work()) {
  bool reused = db.is_open();
  try {
    return work();
  } catch (const postgres_error& e) {
    if (!reused || !is_lost(e) || !may_repeat())
      throw;
    db.close();
  }
  return work();
}

/// Queues BEGIN, with an end to every wait of the transaction: a statement, our silence, and a lock
/// if `lock` is not zero.
void queue_begin(postgres_connection& db, std::chrono::milliseconds limit,
                 std::chrono::milliseconds lock = {});
void begin_limited(postgres_connection& db, std::chrono::milliseconds limit,
                   std::chrono::milliseconds lock = {});

} // namespace phi::store
