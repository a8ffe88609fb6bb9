#pragma once
/// Counts out of the roll-ups of PostgreSQL.

#include "server/statistics/row_source.hpp"
#include "server/statistics/tally.hpp"

namespace phi::store {

class rollup_tally : public statistics::tally_source {
public:
  /// `rows`: within a transaction; must outlive it.
  explicit rollup_tally(statistics::row_source& rows) : rows_(rows) {}

  /// Throws postgres_error.
  statistics::tally count(const statistics::tally_query& query) override;

private:
  statistics::row_source& rows_;
};

} // namespace phi::store
