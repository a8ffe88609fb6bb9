#pragma once
/// What has happened to the service, in this run and in those before it, kept in a small file of
/// the state directory.

#include "config/defaults.hpp"
#include "protocol/health.hpp"
#include "protocol/lifecycle.hpp"
#include "protocol/time.hpp"
#include "server/process/run_end.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace phi {

/// One thing that happened. Times are in microseconds since 1970; empty texts do not apply.
struct life_row {
  life_kind kind = life_kind::start;
  int64_t at_us = 0;
  std::optional<int64_t> until_us; ///< nothing: it had no length, or goes on
  std::string detail;              ///< for people; nothing that only administrators may read
  std::string version;
  std::string run_id; ///< the run that it happened in
  // Of the end of a run:
  std::string mode;
  std::string reason;
  std::optional<int> exit_code;
  std::optional<double> took_ms;
  std::string held_by; ///< who held it the longest; a client without its address
  std::optional<double> held_ms;

  bool operator==(const life_row&) const = default;
};

nlohmann::ordered_json to_json(const life_row& row);
/// Nothing when it is none.
std::optional<life_row> read_life_row(const nlohmann::ordered_json& from);

/// Thread-safe. Nobody waits for its disk: a thread of its own writes the file, whole or not at
/// all, and how a run ended is taken out of its report by the next one, so that no stop writes
/// here. What a kill leaves unwritten is a moment's worth.
class life_history {
public:
  /// As many rows are kept, the newest; in a file of a size that is bounded so.
  static constexpr size_t most_rows = 500;

  /// Reads what is kept in `file`; where there is nothing, or it cannot be read, it begins anew.
  /// An empty name: nothing is read or written. `last_write`: as long the end waits for it.
  explicit life_history(std::string file, duration last_write = defaults::life_last_write_limit);
  /// What is not written yet has a moment to be.
  ~life_history();
  life_history(const life_history&) = delete;

  /// Why the file could not be read; empty: it could, or there was none.
  const std::string& trouble() const { return trouble_; }

  /// How the last run ended, if that is not known yet, and that it began, should its end have come
  /// before that was written; what went on then went on until its end.
  void learn_end(const run_end& end);
  /// This run begins, perhaps with another version than the last.
  void begin_run(const std::string& run_id, const std::string& version);

  void add(life_kind kind, std::string detail);
  /// Something goes on from now, unless it does already; one that was over for less than a minute
  /// goes on.
  void begin(life_kind kind, std::string detail);
  void end(life_kind kind);
  /// What goes on, by the health of the whole.
  void observe(const health_view& health);
  /// A stop is under way: told of, but not kept, for its report will say more.
  void stop_under_way(stop_mode mode, stop_reason reason);

  /// The oldest first.
  std::vector<life_row> rows() const;

private:
  class shared_rows;

  std::string trouble_;
  std::shared_ptr<shared_rows> shared_; ///< shared with the thread, which may hang in a write
  duration last_write_;
};

/// All rows as the answer to GET /lifecycle: `format` as in api/answer_format.
std::string life_answer(const std::vector<life_row>& rows, std::string_view format);

} // namespace phi
