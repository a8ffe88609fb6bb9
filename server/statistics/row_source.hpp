#pragma once
/// What a question needs of a database, whichever it is. Thrown errors belong to the engine; its
/// reader turns them into values.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace phi::statistics {

/// A value of a statement: NULL, a number, or a text that must live until the rows are read.
using parameter = std::variant<std::monostate, int64_t, std::string_view>;

inline parameter text_or_any(const std::optional<std::string>& filter) {
  return filter ? parameter{std::string_view{*filter}} : parameter{};
}

/// The rows of an answer, one after the other.
class row_cursor {
public:
  virtual ~row_cursor() = default;
  /// True while there is a row.
  virtual bool step() = 0;
  virtual int64_t integer(int column) const = 0;
  virtual std::string text(int column) const = 0;
  virtual bool null(int column) const = 0;
};

/// One connection that answers questions. The parameters of a statement are written `$1`, `$2`; it
/// need not use all of the values that it is given.
class row_source {
public:
  virtual ~row_source() = default;
  /// Good until the same statement is asked again.
  virtual row_cursor& ask(std::string_view sql, const std::vector<parameter>& values) = 0;
};

inline void read_column(const row_cursor& from, int column, int64_t& into) {
  into = from.integer(column);
}
inline void read_column(const row_cursor& from, int column, uint64_t& into) {
  into = static_cast<uint64_t>(from.integer(column));
}
inline void read_column(const row_cursor& from, int column, std::string& into) {
  into = from.text(column);
}
/// NULL becomes nothing.
template <class T>
void read_column(const row_cursor& from, int column, std::optional<T>& into) {
  if (from.null(column))
    into.reset();
  else
    read_column(from, column, into.emplace());
}

/// Reads the columns of a row in the order in which its statement names them.
template <class... Values>
void read_columns(const row_cursor& from, Values&... into) {
  int column = 0;
  (read_column(from, column++, into), ...);
}

/// A sum that came in two columns, from `column` on (PHI_WIDE_SUM).
inline double wide_sum(const row_cursor& from, int column) {
  return static_cast<double>(from.integer(column)) * 4'294'967'296.0
         + static_cast<double>(from.integer(column + 1));
}

/// The first column of the first row; 0 when there is none.
inline int64_t number(row_source& from, std::string_view sql,
                      const std::vector<parameter>& values = {}) {
  auto& rows = from.ask(sql, values);
  return rows.step() ? rows.integer(0) : 0;
}

} // namespace phi::statistics
