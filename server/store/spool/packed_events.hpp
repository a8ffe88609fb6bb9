#pragma once
/// Events as bytes for the spool: MessagePack, an array of values an event.

#include "protocol/event.hpp"
#include "protocol/ingest.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace phi::store {

/// The events of all requests of a batch, in order.
std::string pack_events(const commit_batch& batch);

/// That has so many bytes, or some more: known without packing them.
size_t packed_at_least(const commit_batch& batch);

/// Throws std::runtime_error when the bytes are not what `pack_events` makes.
std::vector<event> unpack_events(const std::string& bytes);

} // namespace phi::store
