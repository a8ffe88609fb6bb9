#include "server/observe/logging_journal.hpp"

#include "protocol/platform/files.hpp"
#include "protocol/text/terminal_text.hpp"

#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>

#include <systemd/sd-journal.h> // with iovec and the priorities of syslog(3), of which it is made

#include <cctype>
#include <cstdlib>
#include <string>
#include <vector>

namespace phi {
namespace {

constexpr char separator = '\x1f';

std::string value_of(const log_field& field) {
  if (const auto* number = std::get_if<int64_t>(&field.value))
    return std::to_string(*number);
  if (const auto* real = std::get_if<double>(&field.value))
    return std::to_string(*real);
  return std::get<std::string>(field.value);
}

void append_field(std::string& to, std::string_view name, std::string_view value) {
  to += separator;
  to += "PHI_";
  for (char c : name)
    to += std::isalnum(static_cast<unsigned char>(c))
            ? static_cast<char>(std::toupper(static_cast<unsigned char>(c)))
            : '_';
  to += '=';
  to += printable(value); // the separator is not printable
}

int priority_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::err: return LOG_ERR;
    case spdlog::level::warn: return LOG_WARNING;
    case spdlog::level::info: return LOG_INFO;
    default: return LOG_DEBUG;
  }
}

/// Used by the log's one thread.
class journal_sink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
protected:
  void sink_it_(const spdlog::details::log_msg& msg) override {
    std::string text{msg.payload.data(), msg.payload.size()};
    std::vector<std::string> entry{"PRIORITY=" + std::to_string(priority_of(msg.level)),
                                   "SYSLOG_IDENTIFIER=phi-backend"};
    auto end = std::min(text.find(separator), text.size());
    entry.push_back("MESSAGE=" + text.substr(0, end));
    while (end < text.size()) {
      auto next = std::min(text.find(separator, end + 1), text.size());
      entry.push_back(text.substr(end + 1, next - end - 1));
      end = next;
    }
    std::vector<iovec> parts;
    for (auto& field : entry)
      parts.push_back({field.data(), field.size()});
    ::sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
  }
  void flush_() override {}
};

} // namespace

bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  auto at = facts_of_open(standard_error);
  return stream && at && stream == std::to_string(at->device) + ":" + std::to_string(at->number);
}

std::string journal_entry(const std::string& message, std::string_view actor,
                          const log_fields& fields) {
  auto out = printable(message);
  append_field(out, "actor", actor);
  for (const auto& field : fields)
    append_field(out, field.key, value_of(field));
  return out;
}

std::shared_ptr<spdlog::sinks::sink> make_journal_sink() {
  return std::make_shared<journal_sink>();
}

} // namespace phi
