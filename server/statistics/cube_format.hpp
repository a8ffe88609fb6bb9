#pragma once
/// How a cube is written: a version, sections with their sizes and checksums, packed numbers in
/// columns; sorted keys are written as differences. Whatever is read is checked: bytes that were
/// not written so throw `damaged_cube`, and take no more memory than a small multiple of
/// themselves.

#include "server/statistics/cube.hpp"

namespace phi::statistics {

/// `whole`: all its parts, sorted as `cube_builder` leaves them.
std::string write_cube(const cube& whole);

/// Only `parts` of it; the counts by day and their texts are always there. Throws damaged_cube,
/// newer_cube.
cube read_cube(std::string_view body, cube_parts parts = all_cube_parts);

} // namespace phi::statistics
