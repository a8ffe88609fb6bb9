#pragma once
/// Keeps what is logged, for tests that ask who was named.

#include "actors/log.hpp"

#include <mutex>
#include <string>
#include <vector>

namespace phi::testing {

class recorded_log : public log_sink {
public:
  recorded_log() { set_log_sink(this); }
  ~recorded_log() override { set_log_sink(nullptr); }

  bool wants(log_level) const noexcept override { return true; }

  void write(log_level, std::string_view actor, std::string_view text,
             const log_fields& fields) noexcept override {
    std::string line = std::string{actor} + " " + std::string{text};
    for (const auto& field : fields)
      if (const auto* value = std::get_if<std::string>(&field.value))
        line += " " + std::string{field.key} + "=" + *value;
    std::lock_guard lock{mutex_};
    lines_.push_back(std::move(line));
  }

  bool contains(std::string_view text) const { return count(text) > 0; }

  std::string text() const {
    std::lock_guard lock{mutex_};
    std::string out;
    for (const auto& line : lines_)
      out += line + "\n";
    return out;
  }

  size_t count(std::string_view text) const {
    std::lock_guard lock{mutex_};
    size_t n = 0;
    for (const auto& line : lines_)
      n += line.find(text) != line.npos;
    return n;
  }

private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

} // namespace phi::testing
