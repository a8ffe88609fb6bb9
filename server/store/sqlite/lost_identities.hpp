#pragma once
/// Identities that are known no more: a run that held them was damaged, and retention had deleted
/// their rows. An event that may be one of them must be refused, or it could count twice.

#include "protocol/event.hpp"
#include "server/store/sqlite/row_retention.hpp"

#include <vector>

namespace phi::store {

/// Both ends are in it.
struct digest_range {
  digest first{};
  digest last{};
};

/// Of the writing connection, within its transactions. Throws sqlite_error.
class lost_identities {
public:
  explicit lost_identities(sqlite_connection& db);

  /// `lost`: how many, and their sum; each of them in one of `ranges`, of an event before
  /// `before_day`. Holds once the transaction is committed: then read it anew.
  static void add(sqlite_connection& db, const identity_sums& lost,
                  std::vector<digest_range> ranges, int64_t before_day);

  /// Whether an event that is not known may have been stored: by its time, if that is the sender's.
  bool may_contain(const event& e) const;
  /// How many there are.
  int64_t size() const { return size_; }

private:
  struct range {
    digest_range digests;
    int64_t before_us = 0;
  };
  std::vector<range> ranges_;
  int64_t size_ = 0;
};

} // namespace phi::store
