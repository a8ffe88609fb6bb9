#pragma once
/// A page of a database file that a disk has lost: it reads as zeros.

#include "server/store/sqlite/connection.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/stored.hpp"

#include <fstream>
#include <iterator>
#include <string>

namespace phi::testing {

/// As an earlier version made it: in a file that cannot shrink a lost page ends a chain of pages.
/// In others SQLite finds the next one all the same, and who reads has zeros.
inline void make_earlier(const std::string& file) {
  store::sqlite_connection db;
  db.open(file, store::sqlite_connection::access::read_write);
  db.run("PRAGMA auto_vacuum = NONE; VACUUM");
}

/// The first one with these bytes; false: there is none.
inline bool lose_page_with(const std::string& file, const std::string& bytes) {
  constexpr size_t page_bytes = 4096;
  std::fstream pages{file, std::ios::in | std::ios::out | std::ios::binary};
  const std::string all{std::istreambuf_iterator<char>{pages}, {}};
  const auto at = all.find(bytes);
  if (at == std::string::npos)
    return false;
  pages.seekp(static_cast<std::streamoff>(at - at % page_bytes));
  pages.write(std::string(page_bytes, '\0').data(), page_bytes);
  return true;
}

/// Of those that hold a value, one in the middle: there the chain of its pages ends too early.
/// Nobody has the file open, and its log is written back. `of`: such as "cube WHERE id = 7".
inline void lose_page(const std::string& file, const std::string& column, const std::string& of) {
  constexpr size_t page_bytes = 4096, searched = 64;
  REQUIRE(ask_database(file, "SELECT length(" + column + ") FROM " + of)
          > 3 * static_cast<int64_t>(page_bytes));
  auto hex = in_file(file)("SELECT hex(substr(" + column + ", length(" + column + ") / 2, "
                           + std::to_string(searched) + ")) FROM " + of)
               .at(0);
  std::string wanted;
  for (size_t i = 0; i < hex.size(); i += 2)
    wanted += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  if (!lose_page_with(file, wanted.substr(0, searched / 2))) // it may go over the end of a page
    REQUIRE(lose_page_with(file, wanted.substr(searched / 2)));
}

} // namespace phi::testing
