#include "server/store/postgres/values.hpp"

#include "server/store/postgres/byte_order.hpp"

#include <libpq-fe.h>

#include <cstdlib>
#include <cstring>

namespace phi::store {
namespace {

constexpr uint32_t oid_bytea = 17;
constexpr uint32_t oid_int8 = 20;
constexpr uint32_t oid_text = 25;
constexpr uint32_t oid_uuid = 2950;

void append_32(std::string& to, uint32_t value) {
  append_big_endian(to, value);
}

} // namespace

postgres_value postgres_value::text(std::string_view value) {
  return {.type = oid_text, .data = std::string{value}};
}

postgres_value postgres_value::number(int64_t value) {
  return {.type = oid_int8, .data = std::to_string(value)};
}

postgres_value postgres_value::uuid(const digest& value) {
  return {.type = oid_uuid,
          .binary = true,
          .data = {reinterpret_cast<const char*>(value.data()), value.size()}};
}

postgres_value postgres_value::bytes(std::string value) {
  return {.type = oid_bytea, .binary = true, .data = std::move(value)};
}

postgres_value postgres_value::of(const statistics::parameter& value) {
  if (const auto* whole = std::get_if<int64_t>(&value))
    return number(*whole);
  if (const auto* words = std::get_if<std::string_view>(&value))
    return text(*words);
  return {.type = oid_text, .null = true};
}

postgres_array::postgres_array(element type) : type_(type) {
  data_.resize(20); // dimensions, whether there are NULLs, type, length, first index
}

void postgres_array::add(int64_t value) {
  ++size_;
  if (type_ == element::int4) {
    append_32(data_, sizeof(int32_t));
    append_32(data_, static_cast<uint32_t>(value));
  } else {
    append_32(data_, sizeof value);
    append_big_endian(data_, static_cast<uint64_t>(value));
  }
}

void postgres_array::add(std::string_view value) {
  ++size_;
  append_32(data_, static_cast<uint32_t>(value.size()));
  data_ += value;
}

void postgres_array::add(const digest& value) {
  add(std::string_view{reinterpret_cast<const char*>(value.data()), value.size()});
}

void postgres_array::add_null() {
  ++size_;
  nulls_ = true;
  append_32(data_, 0xffffffff);
}

postgres_value postgres_array::take() {
  std::string head;
  append_32(head, 1);
  append_32(head, nulls_);
  append_32(head, static_cast<uint32_t>(type_));
  append_32(head, static_cast<uint32_t>(size_));
  append_32(head, 1);
  data_.replace(0, head.size(), head);
  return {.binary = true, .data = std::move(data_)};
}

// -- rows ---------------------------------------------------------------------------------------

void postgres_rows::clear::operator()(pg_result* result) const noexcept {
  PQclear(result);
}

int64_t postgres_rows::integer(int column) const {
  return std::strtoll(PQgetvalue(result_.get(), row_, column), nullptr, 10);
}

std::string postgres_rows::text(int column) const {
  return PQgetvalue(result_.get(), row_, column);
}

bool postgres_rows::null(int column) const {
  return PQgetisnull(result_.get(), row_, column) != 0;
}

digest postgres_rows::uuid(int column) const {
  digest out{};
  std::memcpy(out.data(), PQgetvalue(result_.get(), row_, column), out.size());
  return out;
}

int64_t postgres_rows::binary_integer(int column) const {
  const auto* bytes = PQgetvalue(result_.get(), row_, column);
  return static_cast<int64_t>(read_big_endian<uint64_t>(bytes));
}

std::string_view postgres_rows::bytes(int column) const {
  return {PQgetvalue(result_.get(), row_, column),
          static_cast<size_t>(PQgetlength(result_.get(), row_, column))};
}

int postgres_rows::count() const {
  return PQntuples(result_.get());
}

int64_t postgres_rows::changed() const {
  return std::strtoll(PQcmdTuples(result_.get()), nullptr, 10);
}

std::string postgres_rows::command() const {
  return PQcmdStatus(result_.get());
}

} // namespace phi::store
