#pragma once
/// How actors log: a line is *subject verb object*, the actor is the subject, values are fields.
/// The sink is a port; server/observe/logging puts spdlog behind it, tests a recorder.

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace phi {

enum class log_level : uint8_t { trace, debug, info, warn, error };

struct log_field {
  std::string_view key;
  std::variant<int64_t, double, std::string> value;

  log_field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  log_field(std::string_view k, std::string_view v) : key(k), value(std::string{v}) {}
  log_field(std::string_view k, const char* v) : key(k), value(std::string{v}) {}
  log_field(std::string_view k, double v) : key(k), value(v) {}
  log_field(std::string_view k, bool v) : key(k), value(std::string{v ? "true" : "false"}) {}
  template <std::integral T>
  log_field(std::string_view k, T v) : key(k),
                                       value(static_cast<int64_t>(v)) {}
};

using log_fields = std::vector<log_field>;

/// Thread-safe; never blocks on a slow reader of the log.
class log_sink {
public:
  virtual ~log_sink() = default;
  virtual bool wants(log_level level) const noexcept = 0;
  virtual void write(log_level level, std::string_view actor, std::string_view text,
                     const log_fields& fields) noexcept = 0;
};

/// Sets the sink of this process; null: log nothing. The sink must outlive its use.
void set_log_sink(log_sink* sink) noexcept;

/// Whether anybody wants lines of this level: cheap, for whoever would make its fields in vain.
bool log_wants(log_level level) noexcept;

void log(log_level level, std::string_view actor, std::string_view text,
         const log_fields& fields = {});

inline void log_debug(std::string_view actor, std::string_view text,
                      const log_fields& fields = {}) {
  log(log_level::debug, actor, text, fields);
}
inline void log_info(std::string_view actor, std::string_view text, const log_fields& fields = {}) {
  log(log_level::info, actor, text, fields);
}
inline void log_warn(std::string_view actor, std::string_view text, const log_fields& fields = {}) {
  log(log_level::warn, actor, text, fields);
}
inline void log_error(std::string_view actor, std::string_view text,
                      const log_fields& fields = {}) {
  log(log_level::error, actor, text, fields);
}

} // namespace phi
