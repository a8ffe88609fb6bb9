#pragma once
/// Log lines in systemd's journal, with a field for each value. spdlog's own systemd sink knows
/// only the text; this one has our fields as well.

#include "actors/log.hpp"

#include <memory>
#include <spdlog/sinks/sink.h>
#include <string>
#include <string_view>

namespace phi {

/// Whether stderr is connected to the journal ($JOURNAL_STREAM, systemd.exec(5)).
bool stderr_is_journal();

/// One entry as the sink takes it: the message, then NAME=value of each field, between separators.
/// A field "late" becomes PHI_LATE, the actor PHI_ACTOR.
std::string journal_entry(const std::string& message, std::string_view actor,
                          const log_fields& fields);

std::shared_ptr<spdlog::sinks::sink> make_journal_sink();

} // namespace phi
