#pragma once
/// Events on their way to the service, for `send` and `import`: put into batches, each event with
/// an identity, and sent again and again while the service is away, starting or overloaded.

#include "tools/phictl/context.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace phi::ctl {

class batch_sender;
class line_batch;

/// What has become of the lines so far.
struct delivered_counts {
  uint64_t stored = 0;
  uint64_t duplicates = 0;
  uint64_t rejected = 0; ///< also those that never got to the service
  uint64_t batches = 0;  ///< that the service has answered

  /// An answer to `ingest`.
  void add(const nlohmann::ordered_json& answer);
  void add(const delivered_counts& others);
};

/// Puts lines into batches and batches on their way. Every event has an id before it is sent for
/// the first time: whatever becomes of an answer, none counts twice. What is wrong with a line goes
/// to stderr. Throws `failure` when the service does not take more for too long (--timeout).
class delivery {
public:
  explicit delivery(const command_context& context);
  ~delivery();

  /// A line, with its number in the file for messages; `id` is for an event that has none.
  void add(std::string line, uint64_t number, const std::string& id);

  /// Counts a line that is no event, and says why on stderr: a code, and words.
  void refuse(uint64_t number, const std::string& why);
  /// A line that is too long to be read.
  void refuse_long(uint64_t number);

  /// Sends what has been gathered and waits for the answer.
  void flush();

  const delivered_counts& counts() const { return counts_; }
  /// Whether there was an event that has its id from us.
  bool identified_some() const { return identified_; }

  /// Called after each batch.
  std::function<void()> on_delivered;

  /// Which database takes the events; from now on no other does. Empty: not known.
  std::string find_database();
  /// Whether all has gone to that database.
  bool knows_database() const;

private:
  size_t deliver(const line_batch& from, size_t n, size_t count);

  std::unique_ptr<batch_sender> sender_;
  std::unique_ptr<line_batch> batch_; ///< that is being gathered
  delivered_counts counts_;
  bool identified_ = false;
  size_t most_lines_; ///< at a time
};

/// Prints the counts, and fails when something was rejected.
void finish_delivery(const command_context& context, const delivered_counts& counts);

} // namespace phi::ctl
