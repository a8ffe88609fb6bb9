#include "server/store/sqlite_file.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <stdexcept>

namespace phi::store {
namespace {

int64_t first_number(database& db, std::string_view sql) {
  statement ask{db, sql};
  return ask.step() ? ask.integer(0) : 0;
}

} // namespace

std::string check_file(const std::string& file) {
  database db;
  db.open(file, database::access::read_only);
  statement sound{db, "PRAGMA integrity_check(1)"};
  if (!sound.step() || sound.text(0) != "ok")
    throw std::runtime_error("the database is damaged: " + sound.text(0));
  auto schema = first_number(db, "PRAGMA user_version");
  return std::to_string(first_number(db, "SELECT count(*) FROM event")) + " events, schema "
         + std::to_string(schema);
}

nlohmann::ordered_json back_up(database& db, const std::string& to) {
  if (std::filesystem::exists(to))
    throw std::runtime_error(to + " is there already");
  try {
    statement copy{db, "VACUUM INTO ?1"};
    copy.bind(1, std::string_view{to});
    copy.execute();
    check_file(to);
    database check;
    check.open(to, database::access::read_only);
    return {{"file", to},
            {"bytes", std::filesystem::file_size(to)},
            {"events", first_number(check, "SELECT count(*) FROM event")}};
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(to, ignored);
    throw;
  }
}

} // namespace phi::store
