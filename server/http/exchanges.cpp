#include "server/http/exchanges.hpp"

#include <restinio/all.hpp>

#include <algorithm>
#include <cstdio>

namespace phi::http {

bool exchange_table::acceptable(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '_' || c == '-';
  });
}

exchange& exchange_table::add(restinio::request_handle_t request, int64_t wall_us) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  auto at = free_.back();
  free_.pop_back();
  auto& slot = slots_[at];
  slot.used = true;
  ++slot.generation;
  ++size_;
  slot.content = exchange{.request = std::move(request)};
  slot.content.to = (ticket{slot.generation} << 32) | at;
  slot.content.wall_us = wall_us;
  slot.content.began = slot.content.decided = clock::now();
  auto given = field_of(slot.content.request->header(), "X-Request-Id");
  slot.content.request_id = acceptable(given) ? std::string{given} : next_request_id();
  return slot.content;
}

exchange* exchange_table::find(ticket to) {
  auto at = static_cast<uint32_t>(to);
  if (at >= slots_.size() || !slots_[at].used || slots_[at].generation != to >> 32)
    return nullptr;
  return &slots_[at].content;
}

void exchange_table::remove(ticket to) {
  if (!find(to))
    return;
  auto at = static_cast<uint32_t>(to);
  slots_[at].used = false;
  if (const auto& gone = slots_[at].content.gone)
    gone->store(true);
  slots_[at].content = {};
  free_.push_back(at);
  --size_;
}

std::vector<ticket> exchange_table::older_than(time_point limit) const {
  std::vector<ticket> out;
  for (const auto& slot : slots_)
    if (slot.used && slot.content.began <= limit)
      out.push_back(slot.content.to);
  return out;
}

std::string exchange_table::next_request_id() {
  char text[40];
  std::snprintf(text, sizeof text, "%016llx-%llx", static_cast<unsigned long long>(seed_),
                static_cast<unsigned long long>(++counter_));
  return text;
}

} // namespace phi::http
