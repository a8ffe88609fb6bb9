#pragma once
/// The bearer tokens that operators have made: who may do what, until when. Kept in tokens.json of
/// the state directory as digests only, and in memory, so that they work whatever the database
/// does.

#include "protocol/endpoints.hpp"
#include "protocol/outcome.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phi::api {

std::optional<scope> parse_scope(std::string_view text);
std::string_view to_string(scope granted);

struct token {
  std::string id; ///< public, to name it by; 8 hex digits
  std::string name;
  std::vector<scope> scopes;
  std::string digest; ///< SHA-256 of the secret, 64 hex digits
  int64_t created_us = 0;
  std::optional<int64_t> expires_us;

  bool expired(int64_t now_us) const { return expires_us && now_us >= *expires_us; }
};

/// Whether a token may have this name.
outcome check_token_name(std::string_view name);

/// Thread-safe. Readers get a snapshot that does not change.
class token_store {
public:
  /// `file` may not exist yet. When `loaded()` says that it cannot be read, nobody may enter.
  explicit token_store(std::string file);

  const outcome& loaded() const { return loaded_; }

  using snapshot = std::shared_ptr<const std::vector<token>>;
  snapshot all() const;

  /// Whether anybody needs a token: from the first one on, also when the last is revoked. Only
  /// removing the file before a start goes back.
  bool needed() const { return needed_; }

  /// A request came without a token and was served, because none is needed.
  void note_anonymous() const { anonymous_.fetch_add(1, std::memory_order_relaxed); }
  uint64_t anonymous() const { return anonymous_.load(std::memory_order_relaxed); }

  struct created {
    std::string secret; ///< shown once, kept nowhere
    token kept;
  };
  result<created> create(std::string name, std::vector<scope> scopes,
                         std::optional<int64_t> expires_us);

  /// Fails when there is no such token, or when that cannot be kept: then it is as it was.
  outcome revoke(const std::string& id);

private:
  outcome save(const std::vector<token>& tokens) const;

  std::string file_;
  outcome loaded_;
  std::atomic<bool> needed_{false};
  mutable std::atomic<uint64_t> anonymous_{0};
  mutable std::mutex mutex_;
  snapshot tokens_;
};

} // namespace phi::api
