#pragma once
/// Events and batches for the tests of the stores.

#include "actors/ports/reader_port.hpp"
#include "protocol/event.hpp"
#include "protocol/ingest.hpp"
#include "server/api/question_reader.hpp"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace phi::testing {

/// Nobody has reason to end it.
class patience : public work_watch {
public:
  end_cause check() noexcept override { return end_cause::none; }
};

template <class Question>
query_answer ask(const reader_port_ptr& reader, const Question& question) {
  patience endless;
  return reader->answer(question, endless);
}

/// A question as it comes over HTTP.
inline reader_query endpoint_question(std::string_view path, std::string_view query_string = "") {
  auto read = api::read_question(*api::find_question(path), query_string, {"UTC", 36'600});
  if (!read.errors.empty())
    throw std::invalid_argument(read.errors[0].message);
  return read.query;
}

inline reader_query summary(std::string_view query_string = "") {
  return endpoint_question("/stats/summary", query_string);
}

inline const inspection_task verification = verify_task{};

inline event make_event(uint32_t number, std::string feature = "f",
                        int64_t time_us = 1'767'323'045'000'000) {
  event e{.time_us = time_us, .feature = std::move(feature)};
  e.identity[0] = static_cast<uint8_t>(number);
  e.identity[1] = static_cast<uint8_t>(number >> 8);
  e.identity[2] = static_cast<uint8_t>(number >> 16);
  return e;
}

/// A batch like those that stats cuts: an id of its own, requests in order.
inline std::shared_ptr<commit_batch> batch_of(std::vector<std::vector<event>> requests) {
  static std::atomic<uint64_t> numbers{0};
  auto out = std::make_shared<commit_batch>();
  out->number = ++numbers;
  digest id{};
  for (size_t i = 0; i < 8; ++i)
    id[i] = static_cast<uint8_t>(out->number >> (8 * i));
  id.back() = 1; // no event has this one
  out->parts = {{id, requests.size()}};
  for (auto& events : requests) {
    out->events += events.size();
    out->requests.push_back({.events = std::move(events)});
  }
  return out;
}

} // namespace phi::testing
