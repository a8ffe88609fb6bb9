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

/// One connection that answers questions. The statements are those of statements.hpp, whose
/// parameters are written `?1`.
class row_source {
public:
  virtual ~row_source() = default;
  /// Good until the same statement is asked again.
  virtual row_cursor& ask(std::string_view sql, const std::vector<parameter>& values) = 0;
};

/// A sum that came in two columns, from `column` on (PHI_WIDE_SUM).
inline double wide_sum(const row_cursor& from, int column) {
  return static_cast<double>(from.integer(column)) * 4'294'967'296.0
         + static_cast<double>(from.integer(column + 1));
}

/// The first column of the first row; 0 when there is none.
inline int64_t number(row_source& of, std::string_view sql,
                      const std::vector<parameter>& values = {}) {
  auto& rows = of.ask(sql, values);
  return rows.step() ? rows.integer(0) : 0;
}

} // namespace phi::statistics
