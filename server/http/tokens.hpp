#pragma once
/// The bearer tokens that operators have made: who may do what, until when. Kept in tokens.json of
/// the state directory as digests only, and in memory, so that they work whatever the database
/// does.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phi::http {

/// What a token allows. `admin` allows everything.
enum class scope : uint8_t { none, ingest, read, admin };

std::optional<scope> parse_scope(std::string_view text);
std::string_view to_string(scope what);

struct token {
  std::string id; ///< public, to name it by; 8 hex digits
  std::string name;
  std::vector<scope> scopes;
  std::string digest; ///< SHA-256 of the secret, 64 hex digits
  int64_t created_us = 0;
  std::optional<int64_t> expires_us;
};

/// Thread-safe. Readers get a snapshot that does not change.
class token_book {
public:
  /// `file` may not exist yet. What is wrong with it is in `trouble()`; then nobody may enter.
  explicit token_book(std::string file);

  const std::string& trouble() const { return trouble_; }

  using snapshot = std::shared_ptr<const std::vector<token>>;
  snapshot all() const;

  struct created {
    std::string secret; ///< shown once, kept nowhere
    token what;
    std::string error; ///< not empty: nothing was created
  };
  created create(std::string name, std::vector<scope> scopes, std::optional<int64_t> expires_us);

  /// Empty, or what is wrong.
  std::string revoke(const std::string& id);

private:
  std::string save(const std::vector<token>& tokens) const;

  std::string file_;
  std::string trouble_;
  mutable std::mutex guard_;
  snapshot tokens_;
};

} // namespace phi::http
