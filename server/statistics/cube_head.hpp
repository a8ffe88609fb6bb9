#pragma once
/// What a cube begins with: its version, its day, the place of each section, and a checksum of all
/// that. So it is in every version, however many sections that has.

#include "server/statistics/packing.hpp"

namespace phi::statistics {

/// Of a section; they follow one another.
struct section_place {
  uint64_t size = 0;
  uint32_t checksum = 0;
};

void put_place(packed_writer& head, std::string_view section);
/// Throws damaged_cube.
section_place get_place(packed_reader& from);

/// Whether the cube begins with a head that is not damaged, of whatever version.
bool has_cube_head(std::string_view body);

} // namespace phi::statistics
