#include "protocol/restore_journal.hpp"

#include "protocol/durable_file.hpp"
#include "protocol/fault_point.hpp"
#include "protocol/platform/files.hpp"
#include "protocol/state_files.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace phi {
namespace {

namespace fs = std::filesystem;

constexpr const char* journal_head = "phi-backend restore 1";

bool there(const std::string& file) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(file, ignored));
}

std::string nth_aside(const std::string& database, int n) {
  return database + ".before-restore" + (n == 1 ? "" : "-" + std::to_string(n));
}

bool any_part_there(const std::string& file) {
  for (const auto* part : database_parts)
    if (there(file + part))
      return true;
  return false;
}

std::string parent_of(const std::string& file) {
  return fs::path{file}.parent_path().string();
}

/// Moves, and never onto something.
outcome move_part(const std::string& from, const std::string& to) {
  if (!move_file(from, to))
    return outcome::failure("cannot move " + from + " to " + to + ": " + std::strerror(errno));
  return {};
}

/// Moves the file first: as long as it is missing, nobody takes what is left for a whole database.
outcome move_parts(const std::string& from, const std::string& to) {
  for (const auto* part : database_parts) {
    if (!there(from + part))
      continue;
    if (auto moved = move_part(from + part, to + part); !moved)
      return moved;
    fault_point("restore.moved");
  }
  return {};
}

/// The file last, for the same reason.
outcome move_parts_back(const std::string& from, const std::string& to) {
  for (size_t i = std::size(database_parts); i-- > 0;)
    if (const auto* part = database_parts[i]; there(from + part))
      if (auto moved = move_part(from + part, to + part); !moved)
        return moved;
  return {};
}

} // namespace

std::string restored_copy(const std::string& database) {
  return database + ".restoring";
}

std::string free_name_aside(const std::string& database) {
  int n = 1;
  while (any_part_there(nth_aside(database, n)))
    ++n;
  return nth_aside(database, n);
}

std::string set_aside_earlier(const std::string& database) {
  std::string newest;
  for (int n = 1; any_part_there(nth_aside(database, n)); ++n)
    newest = nth_aside(database, n);
  return newest;
}

std::optional<restore_plan> restore_under_way(const std::string& state_directory) {
  std::ifstream in{state_directory + "/" + state_files::restore_journal};
  std::string head;
  restore_plan plan;
  if (!std::getline(in, head) || head != journal_head || !std::getline(in, plan.database)
      || !std::getline(in, plan.aside))
    return std::nullopt;
  return plan;
}

outcome promise_restore(const std::string& state_directory, const restore_plan& plan) {
  if ((plan.database + plan.aside).find('\n') != std::string::npos)
    return outcome::failure("a path with a line break in it: " + plan.database);
  auto promised =
    write_durably(state_directory + "/" + state_files::restore_journal,
                  std::string{journal_head} + "\n" + plan.database + "\n" + plan.aside + "\n");
  if (!promised)
    remove_unfinished_copy(plan.database);
  return promised;
}

outcome finish_restore(const std::string& state_directory, const restore_plan& plan) {
  auto copy = restored_copy(plan.database);
  outcome placed;
  if (there(copy)) {
    placed = move_parts(plan.database, plan.aside);
    if (placed)
      placed = move_part(copy, plan.database);
    fault_point("restore.placed");
  } else if (!there(plan.database)) {
    placed = move_parts_back(plan.aside, plan.database);
  }
  if (placed)
    placed = sync_directory(parent_of(plan.database));
  if (!placed)
    return placed;
  fault_point("restore.synced");
  remove_file(state_directory + "/" + state_files::restore_journal);
  return sync_directory(state_directory);
}

std::string database_place(const std::string& state_directory) {
  std::ifstream in{state_directory + "/" + state_files::database_path};
  std::string place;
  std::getline(in, place);
  return place;
}

outcome keep_database_place(const std::string& state_directory, const std::string& place) {
  if (database_place(state_directory) == place)
    return {};
  // A hint: one that a power cut may take is better than that of another database.
  return write_durably(state_directory + "/" + state_files::database_path, place + "\n",
                       when_unsure::keep);
}

void remove_unfinished_copy(const std::string& database) {
  for (const auto* part : database_parts)
    remove_file(restored_copy(database) + part);
}

} // namespace phi
