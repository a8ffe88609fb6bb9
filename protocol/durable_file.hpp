#pragma once
/// Small files that are whole and on disk once they are written: the one way in which anything of
/// the state directory is replaced that must not be lost with the power.

#include "protocol/outcome.hpp"

#include <string>

namespace phi {

/// Puts a small file in its place, whole or not at all, through `FILE.new`, and on disk: text and
/// name. For its owner only.
outcome write_durably(const std::string& file, const std::string& text);

/// Makes the names in a directory durable; empty: the one where we are.
outcome sync_directory(const std::string& directory);

} // namespace phi
