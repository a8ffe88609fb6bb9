#include "server/observe/logging.hpp"

#include "config/defaults.hpp"
#include "protocol/text/terminal_text.hpp"
#include "server/observe/logging_journal.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <nlohmann/json.hpp>

#include <array>
#include <thread>

namespace phi {
namespace {

constexpr std::array<std::string_view, 5> level_names{"trace", "debug", "info", "warn", "error"};

spdlog::level::level_enum to_spdlog(log_level level) {
  constexpr std::array map{spdlog::level::trace, spdlog::level::debug, spdlog::level::info,
                           spdlog::level::warn, spdlog::level::err};
  return map[static_cast<size_t>(level)];
}

const char* pattern_of(const std::string& format) {
  if (format == "compact")
    return "%H:%M:%S.%e %L %v";
  if (format == "pretty")
    return "%^%H:%M:%S.%e %-7l%$ %v";
  if (format == "json")
    return "{\"time\":\"%Y-%m-%dT%H:%M:%S.%fZ\",%v}";
  return "%Y-%m-%dT%H:%M:%S.%fZ %-7l %v";
}

std::string as_text(const log_field& field) {
  if (const auto* number = std::get_if<int64_t>(&field.value))
    return std::to_string(*number);
  if (const auto* real = std::get_if<double>(&field.value))
    return fmt::format("{}", *real);
  const auto& text = std::get<std::string>(field.value);
  bool plain = !text.empty() && text.find_first_of(" \"=\n\r\t") == text.npos;
  return plain
           ? text
           : nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string text_line(std::string_view actor, std::string_view text, const log_fields& fields) {
  auto line = fmt::format("{} {}", actor, text);
  for (const auto& field : fields)
    line += fmt::format(" {}={}", field.key, as_text(field));
  return printable(line); // texts of events may be in it
}

/// The members of a JSON object behind `time`, without braces.
std::string json_line(log_level level, std::string_view actor, std::string_view text,
                      const log_fields& fields) {
  nlohmann::ordered_json line{
    {"level", level_names[static_cast<size_t>(level)]}, {"actor", actor}, {"message", text}};
  for (const auto& field : fields)
    std::visit([&](const auto& value) { line[std::string{field.key}] = value; }, field.value);
  auto whole = printable_json(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return whole.substr(1, whole.size() - 2);
}

} // namespace

std::optional<log_level> parse_log_level(const std::string& text) {
  for (size_t i = 0; i < level_names.size(); ++i)
    if (level_names[i] == text)
      return static_cast<log_level>(i);
  return std::nullopt;
}

struct process_log::back_end {
  std::shared_ptr<spdlog::details::thread_pool> pool =
    std::make_shared<spdlog::details::thread_pool>(defaults::log_queue_lines, 1);
  std::shared_ptr<spdlog::async_logger> logger;
};

process_log::process_log(log_level level, const std::string& format)
  : level_(level),
    journal_(stderr_is_journal()),
    back_end_(std::make_unique<back_end>()) {
  // Colours come from the pattern; only "pretty" has any.
  auto sink =
    journal_ ? make_journal_sink() : std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  auto& logger = back_end_->logger;
  logger = std::make_shared<spdlog::async_logger>("phi", sink, back_end_->pool,
                                                  spdlog::async_overflow_policy::overrun_oldest);
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::trace);
  use(level, format);
  set_log_sink(this);
}

void process_log::use(log_level level, const std::string& format) {
  level_ = level;
  if (journal_)
    return;
  flush(defaults::forced_report_limit); // what was said before keeps its shape
  json_ = format == "json";
  back_end_->logger->set_pattern(pattern_of(format), spdlog::pattern_time_type::utc);
}

std::string process_log::level_name() const {
  return std::string{level_names[static_cast<size_t>(level_.load())]};
}

std::string process_log::line_of(log_level level, std::string_view actor, std::string_view text,
                                 const log_fields& fields) const {
  if (journal_)
    return journal_entry(text_line(actor, text, fields), actor, fields);
  return json_ ? json_line(level, actor, text, fields) : text_line(actor, text, fields);
}

process_log::~process_log() {
  if (auto dropped = back_end_->pool->overrun_counter(); dropped > 0)
    write(log_level::warn, "log", "dropped lines that nobody read in time", {{"lines", dropped}});
  set_log_sink(nullptr);
}

void process_log::write(log_level level, std::string_view actor, std::string_view text,
                        const log_fields& fields) noexcept {
  try {
    back_end_->logger->log(to_spdlog(level), line_of(level, actor, text, fields));
  } catch (const std::exception&) {
    // There is nobody left to tell.
  }
}

bool process_log::flush(std::chrono::milliseconds limit) noexcept {
  auto end = std::chrono::steady_clock::now() + limit;
  while (back_end_->pool->queue_size() > 0) {
    if (std::chrono::steady_clock::now() >= end)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  std::this_thread::sleep_for(std::chrono::milliseconds{1}); // the last line is on its way
  return true;
}

} // namespace phi
