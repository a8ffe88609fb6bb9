#pragma once
/// What the senders know of their events, and whether the database agrees.

#include "tests/support/http_client.hpp"
#include "tests/support/stored.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace phi::soak {

/// What the sender of an event knows of it.
enum class fate : uint8_t {
  refused,      ///< every try was refused, or never left: it must not be stored
  unknown,      ///< an answer was lost, or said so: it may be stored, once
  acknowledged, ///< it must be stored, once
  forbidden,    ///< the database refuses it: it must not be stored, whatever was answered
};

/// The events of one phase. Any thread.
class account {
public:
  /// A try begins.
  void sent(const std::vector<std::string>& ids, fate until_answered = fate::refused);
  /// A try ended with this answer. Says whether the sender has what it wants.
  bool answered(const std::vector<std::string>& ids, const testing::http_answer& answer);

  struct totals {
    uint64_t acknowledged = 0;
    uint64_t refused = 0;
    uint64_t unknown = 0;
    uint64_t forbidden = 0;
  };
  totals count() const;
  std::map<int, uint64_t> answers() const;

  /// What is wrong: lost, stored twice, stored though refused, never sent; answers nobody expects.
  std::vector<std::string> differences(const testing::question& ask,
                                       const std::string& feature) const;

private:
  void acknowledge(const std::vector<std::string>& ids, const std::string& body);

  mutable std::mutex mutex_;
  std::map<std::string, fate> events_;
  std::map<int, uint64_t> answers_; ///< status -> how many; 0: none came
  std::vector<std::string> surprises_;
};

} // namespace phi::soak
