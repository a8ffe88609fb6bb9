#include "server/statistics/cube_head.hpp"

namespace phi::statistics {

void put_place(packed_writer& head, std::string_view section) {
  head.put(section.size());
  head.put_fixed(crc32_of(section));
}

section_place get_place(packed_reader& from) {
  auto size = from.get();
  return {.size = size, .checksum = from.get_fixed<uint32_t>()};
}

bool has_cube_head(std::string_view body) {
  constexpr int most_sections = 64;
  try {
    packed_reader from{body};
    from.get_byte();
    from.get_signed();
    for (int i = 0; i < most_sections; ++i) {
      get_place(from);
      auto head = body.substr(0, body.size() - from.left());
      if (packed_reader{from}.get_fixed<uint32_t>() == crc32_of(head))
        return true;
    }
  } catch (const damaged_cube&) { // it ends before that
  }
  return false;
}

} // namespace phi::statistics
