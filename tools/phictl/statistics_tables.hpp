#pragma once
/// How the answers to the questions of `phictl stats` are shown.

#include <nlohmann/json_fwd.hpp>

#include <string_view>

namespace phi::ctl {

using answer_printer = void (*)(const nlohmann::ordered_json& answer);

/// Of the answers that `phictl stats COMMAND` gets; JSON, for one that has no tables.
answer_printer printer_of(std::string_view command);

} // namespace phi::ctl
