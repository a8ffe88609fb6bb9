#include "server/store/postgres/columns.hpp"

#include "server/store/postgres/byte_order.hpp"

#include <algorithm>

namespace phi::store {
namespace {

using kind = postgres_array::element;

/// Columns side by side, then the parameters of one statement.
class columns {
public:
  explicit columns(std::vector<kind> kinds) {
    for (auto column : kinds)
      arrays_.emplace_back(column);
  }
  postgres_array& operator[](size_t column) { return arrays_[column]; }

  std::vector<postgres_value> take() {
    std::vector<postgres_value> out;
    for (auto& array : arrays_)
      out.push_back(array.take());
    return out;
  }

private:
  std::vector<postgres_array> arrays_;
};

/// Fields of COPY's binary form: a length of 32 bits, then the value; -1 is NULL.
class copy_row {
public:
  explicit copy_row(std::string& to) : to_(to) {}
  void head(uint16_t fields) { append_big_endian(to_, fields); }
  void int4(int32_t value) {
    put_size(sizeof value);
    append_big_endian(to_, static_cast<uint32_t>(value));
  }
  void int8(int64_t value) {
    put_size(sizeof value);
    append_big_endian(to_, static_cast<uint64_t>(value));
  }
  void bytes(const void* data, size_t size) {
    put_size(size);
    to_.append(static_cast<const char*>(data), size);
  }
  void null() { append_big_endian(to_, uint32_t{0xffffffff}); }
  void text_or_null(const std::string& text) {
    text.empty() ? null() : bytes(text.data(), text.size());
  }

private:
  void put_size(size_t size) { append_big_endian(to_, static_cast<uint32_t>(size)); }

  std::string& to_;
};

} // namespace

std::vector<postgres_value> columns_of(const std::vector<const event*>& events) {
  columns out{{kind::int8, kind::uuid, kind::text, kind::text, kind::text, kind::text, kind::int4,
               kind::int8, kind::text, kind::text, kind::text, kind::text, kind::text}};
  for (const auto* e : events) {
    out[0].add(e->time_us);
    out[1].add(e->identity);
    out[2].add_or_null(e->feature);
    out[3].add_or_null(e->action);
    out[4].add_or_null(e->route);
    out[5].add_or_null(e->method);
    e->status != 0 ? out[6].add(int64_t{e->status}) : out[6].add_null();
    e->duration_us >= 0 ? out[7].add(e->duration_us) : out[7].add_null();
    out[8].add_or_null(e->user_hash);
    out[9].add_or_null(e->user_kind);
    out[10].add_or_null(e->address_hash);
    out[11].add_or_null(e->instance);
    out[12].add_or_null(e->extra);
  }
  return out.take();
}

std::string copy_of(const std::vector<const event*>& events) {
  std::string out{"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", 19}; // signature, flags, no extension
  copy_row row{out};
  for (const auto* e : events) {
    row.head(13);
    row.int8(e->time_us);
    row.bytes(e->identity.data(), e->identity.size());
    for (const auto* text : {&e->feature, &e->action, &e->route, &e->method})
      row.text_or_null(*text);
    e->status != 0 ? row.int4(e->status) : row.null();
    e->duration_us >= 0 ? row.int8(e->duration_us) : row.null();
    for (const auto* text :
         {&e->user_hash, &e->user_kind, &e->address_hash, &e->instance, &e->extra})
      row.text_or_null(*text);
  }
  row.head(0xffff); // the end
  return out;
}

std::vector<postgres_value> bounds_of(const std::vector<const event*>& events, int64_t after) {
  auto earlier = [](const event* a, const event* b) { return a->time_us < b->time_us; };
  auto [first, last] = std::minmax_element(events.begin(), events.end(), earlier);
  return {postgres_value::number(after), postgres_value::number((*first)->time_us),
          postgres_value::number((*last)->time_us),
          postgres_value::number(static_cast<int64_t>(events.size()))};
}

} // namespace phi::store
