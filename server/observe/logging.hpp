#pragma once
/// Log lines on stderr or in the journal, by spdlog. A slow reader of the log never holds an actor
/// up: lines wait in a bounded queue, and when it is full the oldest are dropped and counted.

#include "actors/log.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace phi {

/// `trace`, `debug`, `info`, `warn` or `error`.
std::optional<log_level> parse_log_level(const std::string& text);

class process_log : public log_sink {
public:
  /// `format`: full, compact, pretty or json. Sets itself as the process's sink. When stderr is
  /// journald's, lines go there with structured fields (PHI_ACTOR=...) and `format` has no effect.
  process_log(log_level level, const std::string& format);
  ~process_log() override;

  /// From now on.
  void use(log_level level, const std::string& format);

  void set_level(log_level level) { level_ = level; }
  std::string level_name() const;

  bool wants(log_level level) const noexcept override { return level >= level_; }
  void write(log_level level, std::string_view actor, std::string_view text,
             const log_fields& fields) noexcept override;

  /// Waits until everything said so far is written, `limit` at most. True when it is.
  bool flush(std::chrono::milliseconds limit) noexcept;

private:
  struct back_end;
  std::string line_of(log_level level, std::string_view actor, std::string_view text,
                      const log_fields& fields) const;

  std::atomic<log_level> level_;
  std::atomic<bool> json_{false};
  bool journal_;
  std::unique_ptr<back_end> back_end_;
};

} // namespace phi
