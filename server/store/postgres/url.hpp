#pragma once
/// The text that says where PostgreSQL is. It may hold a password: whatever is told of it, or of
/// what libpq says about it, goes through here.

#include "protocol/outcome.hpp"

#include <string>
#include <vector>

namespace phi::store {

/// Whether libpq understands the text as its writer meant it. The reason why not is without any
/// part of the text that may be a piece of the password.
outcome check_postgres_url(const std::string& url);

/// Strikes the secrets of a URL out of texts.
class secret_words {
public:
  explicit secret_words(const std::string& url = "");
  std::string without(std::string text) const;

private:
  std::vector<std::string> words_;
};

} // namespace phi::store
