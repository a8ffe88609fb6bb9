#pragma once
/// Small files that are whole and on disk once they are written: the one way in which anything of
/// the state directory is replaced that must not be lost with the power.

#include "protocol/outcome.hpp"

#include <string>
#include <string_view>

namespace phi {

/// What is to be there when the text is on disk and in its place, but its directory cannot be
/// brought to disk: a power cut may bring back what was there before.
enum class when_unsure {
  /// What was there before: whoever is told that it failed can rely on it. For promises, and for
  /// what somebody is to be given.
  put_back,
  /// The new text: for what is worth something without a promise, such as marks and notes.
  keep,
};

/// Puts a small file in its place, whole or not at all, through `FILE.new`, and on disk: text and
/// name. For its owner only. After a failure the file is as it was, but as `then` says; where not
/// even what was there can be put back, the text says so. What a power cut leaves of a file that
/// could not be written durably, nobody knows.
outcome write_durably(const std::string& file, const std::string& text,
                      when_unsure then = when_unsure::put_back);

/// Writes all of it to an open file, or says why not; `name` is that of the file, for people.
outcome write_all(int fd, std::string_view bytes, const std::string& name);

/// Makes the names in a directory durable; empty: the one where we are.
outcome sync_directory(const std::string& directory);

} // namespace phi
