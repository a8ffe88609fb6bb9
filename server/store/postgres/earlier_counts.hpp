#pragma once
/// The counts of a database of an earlier schema, which were roll-ups.

#include "server/store/postgres/connection.hpp"

namespace phi::store {

/// In the transaction that makes the new tables: days whose rows are all there are counted anew by
/// whoever has the maintenance, and questions read those rows until then. Of days whose rows are
/// gone, or some of them, the roll-ups are taken over as cubes. Then the roll-ups go.
void take_over_rollups(postgres_connection& db);

} // namespace phi::store
