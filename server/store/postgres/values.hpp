#pragma once
/// What goes into the statements of PostgreSQL, and the rows that come out.

#include "protocol/event.hpp"
#include "server/statistics/row_source.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct pg_result;

namespace phi::store {

/// A value of a statement in PostgreSQL's own form: a scalar as text, or an array in binary.
struct postgres_value {
  uint32_t type = 0; ///< OID
  bool binary = false;
  bool null = false;
  std::string data;

  static postgres_value of(const statistics::parameter& value);
  static postgres_value text(std::string_view value);
  static postgres_value number(int64_t value);
  static postgres_value uuid(const digest& value);
  static postgres_value bytes(std::string value);
};

/// Builds a one-dimensional array, element after element: one parameter for a whole column.
class postgres_array {
public:
  enum class element : uint32_t { int4 = 23, int8 = 20, text = 25, uuid = 2950 };

  explicit postgres_array(element type);

  void add(int64_t value);
  void add(std::string_view value);
  void add(const digest& value);
  void add_null();
  /// An empty text becomes NULL.
  void add_or_null(std::string_view value) { value.empty() ? add_null() : add(value); }

  size_t size() const { return size_; }
  postgres_value take();

private:
  element type_;
  size_t size_ = 0;
  bool nulls_ = false;
  std::string data_;
};

/// The rows that a statement gave.
class postgres_rows : public statistics::row_cursor {
public:
  explicit postgres_rows(pg_result* result) : result_(result) {}

  bool step() override { return ++row_ < count(); }
  int64_t integer(int column) const override;
  std::string text(int column) const override;
  bool null(int column) const override;
  /// Of columns asked for in binary.
  digest uuid(int column) const;
  int64_t binary_integer(int column) const; ///< an int8
  std::string_view bytes(int column) const; ///< a text or a bytea; of NULL none

  pg_result* get() const { return result_.get(); }
  int count() const;
  int64_t changed() const; ///< rows, by INSERT, UPDATE, DELETE or COPY
  std::string command() const;

private:
  struct clear {
    void operator()(pg_result* result) const noexcept;
  };
  std::unique_ptr<pg_result, clear> result_;
  int row_ = -1;
};

} // namespace phi::store
