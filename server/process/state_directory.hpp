#pragma once
/// The state directory: locked by one process, with a mark of the run and the report of the last.

#include "actors/exit_report.hpp"
#include "protocol/outcome.hpp"
#include "protocol/platform/descriptor.hpp"
#include "server/process/run_end.hpp"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <optional>
#include <string>

namespace phi {

class state_directory {
public:
  /// Creates the directory if need be and locks it. Whether that went well is in `taken()`.
  explicit state_directory(std::string path);
  ~state_directory();

  const outcome& taken() const { return taken_; }

  /// What the last run left behind when it ended without a report: a crash or a kill. A sentence
  /// for people; empty after a run that reported.
  const std::string& crash_notice() const { return crash_notice_; }

  /// How the last run ended, with a report or without; nothing: there was none, or nobody knows.
  const std::optional<run_end>& last_run() const { return last_run_; }

  /// The key of the hashes of users, where the configuration has none: made at the first start and
  /// kept in the file user_hash_salt, for its owner only. A file that cannot be read is an error:
  /// with another salt everybody would be counted anew.
  result<std::string> own_salt() const;

  /// Names this run among all others, also where every process has the same number.
  const std::string& run_id() const { return run_id_; }

  /// Marks this run as begun, and reserves the room for its report: a disk that is full then takes
  /// it all the same. From now on an end without `end_run` counts as a crash; after a failure it
  /// may pass unnoticed.
  outcome begin_run();

  /// Keeps in the mark that the process is given up because of this actor. Any thread; waits for
  /// the disk a little.
  void note_stuck(const std::string& actor);

  /// Writes last-exit.json and removes the mark. Any thread; does not throw; takes as long as the
  /// disk does. A report that cannot be kept is at least noted in the mark, so that the end does
  /// not pass for a crash.
  outcome end_run(const exit_report& report) noexcept;

  /// The same, in a thread of its own that is left behind when the disk takes longer than `limit`.
  outcome end_run_within(const exit_report& report, duration limit) noexcept;

private:
  class files;

  void notice_crash();
  nlohmann::ordered_json report_json(const exit_report& report) const;

  std::string path_;
  outcome taken_;
  std::string crash_notice_;
  std::optional<run_end> last_run_;
  std::string started_at_;
  std::string run_id_;
  owned_fd lock_;
  std::shared_ptr<files> files_; ///< shared with a thread that hangs in a write
};

} // namespace phi
