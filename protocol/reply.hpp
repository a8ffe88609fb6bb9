#pragma once
/// How an actor answers a request that waits on an HTTP connection: all that actors know of HTTP.

#include "protocol/errors.hpp"
#include "protocol/event.hpp"
#include "protocol/platform/descriptor.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace phi {

/// Names one waiting request among those of its sink.
using ticket = uint64_t;

/// An event that the database will never take.
struct refused_event {
  uint32_t request = 0; ///< its place in the batch
  uint32_t at = 0;      ///< its place among the events of that request
  error_code code = error_code::refused_by_store;
  std::string detail; ///< for people
};

/// What became of the events of one ingest request.
struct ingest_outcome {
  error_code error = error_code::none;
  uint32_t stored = 0;
  uint32_t duplicates = 0;
  bool queued = false;                ///< answered before the commit (durability "queued")
  bool spooled = false;               ///< on local disk and not yet in the database
  uint32_t retry_after_s = 0;         ///< with `overloaded` and the like: when to try again
  std::vector<refused_event> refused; ///< those that are neither stored nor duplicates
};

/// An open file, closed with the last who has it.
using shared_file = std::shared_ptr<const owned_fd>;

/// The answer to a question: a JSON body, or an error with a detail for people.
struct query_answer {
  error_code error = error_code::none;
  std::string detail;
  std::string body;
  shared_file file{}; ///< of a backup: the copy, which has no name any more
};

struct ingest_answer {
  ticket to;
  ingest_outcome outcome;
};

/// Where answers go. Thread-safe; never blocks. An answer for a request that is gone is dropped.
class reply_sink {
public:
  virtual ~reply_sink() = default;
  /// All answers of one commit at once: one hop to the event loop instead of one for each.
  virtual void deliver(std::vector<ingest_answer> answers) noexcept = 0;
  virtual void deliver(ticket to, query_answer answer) noexcept = 0;
};

using reply_sink_ptr = std::shared_ptr<reply_sink>;

/// The duty to answer one question exactly once. Destroyed unanswered, it answers `stopping`.
class query_reply {
public:
  query_reply() = default;
  query_reply(reply_sink_ptr sink, ticket to) : sink_(std::move(sink)), to_(to) {}
  query_reply(query_reply&&) noexcept = default;
  query_reply& operator=(query_reply&&) = delete;
  ~query_reply() { answer({error_code::stopping, "the service is stopping", {}}); }

  /// Does nothing when it was answered already.
  void answer(query_answer answer) {
    if (auto sink = std::exchange(sink_, nullptr))
      sink->deliver(to_, std::move(answer));
  }

private:
  reply_sink_ptr sink_;
  ticket to_ = 0;
};

} // namespace phi
