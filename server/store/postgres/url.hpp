#pragma once
/// The text that says where PostgreSQL is. It may hold a password: whatever is told of it, or of
/// what libpq says about it, goes through here.

#include "protocol/outcome.hpp"

#include <string>
#include <utility>
#include <vector>

namespace phi::store {

/// Whether libpq understands the text as its writer meant it. The reason why not is without any
/// part of the text that may be a piece of the password.
outcome check_postgres_url(const std::string& url);

/// One of the hosts that a URL names; what is empty is left to libpq.
struct postgres_host {
  std::string name;    ///< or the directory of a socket
  std::string address; ///< in numbers
  std::string port;
};

/// In their order; at least one. What the URL does not say comes from the environment.
std::vector<postgres_host> hosts_of(const std::string& url);

/// What the URL says of libpq's keywords, but for those of the places.
std::vector<std::pair<std::string, std::string>> url_values_but_places(const std::string& url);

/// What the URL says of one of libpq's keywords; empty: nothing.
std::string url_value(const std::string& url, const std::string& keyword);

/// Strikes the secrets of a URL out of texts.
class secret_words {
public:
  explicit secret_words(const std::string& url = "");
  std::string without(std::string text) const;

private:
  std::vector<std::string> words_;
};

} // namespace phi::store
