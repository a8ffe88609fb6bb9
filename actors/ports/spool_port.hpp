#pragma once
/// What the spool actor needs of a local disk.

#include "config/config.hpp"
#include "protocol/ingest.hpp"
#include "protocol/query.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace phi {

struct spool_depth {
  uint64_t batches = 0; ///< waiting for the database
  uint64_t events = 0;
  uint64_t bytes = 0;
  uint64_t set_aside = 0; ///< batches that the database will never take, or that are damaged
  uint64_t aside_events = 0;
};

/// A durable queue of batches. Used by one thread.
class spool_port {
public:
  virtual ~spool_port() = default;

  /// Opens it. A damaged file is set aside, and what can be read of it is taken over. Empty: it is
  /// ready; else what is wrong. Called again after the actor died.
  virtual std::string open() = 0;

  /// Events that the first opening found; afterwards 0.
  virtual uint64_t recovered() = 0;

  /// On disk when it returns an empty text; else what is wrong, and it is not. A batch that is
  /// there already stays there once.
  virtual std::string append(const commit_batch& batch) = 0;

  /// The oldest batches, `most` at the most and within a bound of events, as parts of one, to be
  /// committed again under their own ids; null: there is none. A damaged one is set aside.
  virtual commit_batch_ptr front(size_t most) = 0;

  /// What `front` gave is committed but for the events that were `refused`, which are kept apart.
  /// Empty, or what is wrong: then all of it is still there.
  virtual std::string remove_front(const std::vector<refused_event>& refused) = 0;

  /// The database will never take what `front` gave: keep it apart.
  virtual void set_front_aside(const std::string& why) = 0;

  /// An operator's question, or wish: spool_show, spool_check, spool_requeue.
  virtual query_answer answer(const query& what) = 0;

  virtual spool_depth depth() const = 0;

  virtual void adopt(const config& settings) = 0;
  virtual std::string close() = 0;
};

using spool_port_ptr = std::shared_ptr<spool_port>;

} // namespace phi
