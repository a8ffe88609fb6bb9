#include "actors/log.hpp"

#include <atomic>

namespace phi {
namespace {

std::atomic<log_sink*> process_sink{nullptr};

} // namespace

void set_log_sink(log_sink* sink) noexcept {
  process_sink.store(sink, std::memory_order_release);
}

bool log_wants(log_level level) noexcept {
  auto* sink = process_sink.load(std::memory_order_acquire);
  return sink && sink->wants(level);
}

void log(log_level level, std::string_view actor, std::string_view text, const log_fields& fields) {
  auto* sink = process_sink.load(std::memory_order_acquire);
  if (sink && sink->wants(level))
    sink->write(level, actor, text, fields);
}

} // namespace phi
