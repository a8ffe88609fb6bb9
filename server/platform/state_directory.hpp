#pragma once
/// The state directory: locked by one process, with a mark of the run and the report of the last.

#include "actors/exit_report.hpp"
#include "server/platform/listener.hpp"

#include <optional>
#include <string>

namespace phi {

class state_directory {
public:
  /// Creates the directory if need be and locks it. What went wrong is in `trouble()`.
  explicit state_directory(std::string path);

  const std::string& trouble() const { return trouble_; }

  /// What the last run left behind when it ended without a report: a crash or a kill. A sentence
  /// for people; empty after a run that reported.
  const std::string& crash_notice() const { return crash_notice_; }

  /// The key of the hashes of users, where the configuration has none: made at the first start and
  /// kept in the file user_hash_salt, for its owner only. A file that cannot be read is an error:
  /// with another salt everybody would be counted anew.
  struct kept_salt {
    std::string salt;
    std::string error; ///< not empty: there is none
  };
  kept_salt own_salt() const;

  /// Marks this run as begun. From now on an end without `end_run` counts as a crash.
  void begin_run();

  /// Writes last-exit.json and removes the mark. Any thread; does not throw. Returns what went
  /// wrong, or an empty text.
  std::string end_run(const exit_report& report) noexcept;

private:
  std::string file(const char* name) const { return path_ + "/" + name; }
  void look_for_crash();
  void write_file(const std::string& name, const std::string& text) const;

  std::string path_;
  std::string trouble_;
  std::string crash_notice_;
  std::string started_at_;
  owned_fd lock_;
};

} // namespace phi
