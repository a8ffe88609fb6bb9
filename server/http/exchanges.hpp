#pragma once
/// The requests of one event loop that are not answered yet.

#include "protocol/questions.hpp"
#include "protocol/time.hpp"
#include "server/api/problem.hpp"
#include "server/http/routes.hpp"

#include <restinio/http_headers.hpp>
#include <restinio/request_handler.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace phi::http {

/// A header field, empty when it is not there. A view into the request (RESTinio's get_field_or
/// makes a copy that is gone at once).
template <class Name>
std::string_view field_of(const restinio::http_request_header_t& header, Name name) {
  auto value = header.opt_value_of(name);
  return value ? std::string_view{value->data(), value->size()} : std::string_view{};
}

class connection_link;

/// One request and what is known of it. `path` and `query_string` are views into the request.
struct exchange {
  restinio::request_handle_t request;
  ticket to = 0;
  const http::route* route = nullptr;
  std::string_view path;
  std::string_view query_string;
  std::string request_id;
  std::string_view media_type;               ///< of the answer that is awaited; empty: JSON
  std::string known_tags;                    ///< If-None-Match of a question; empty: none
  std::string origin;                        ///< allowed by CORS; empty: none
  std::string asked_attributes;              ///< ", ce-..." that a page asks for; empty: none
  std::string webhook_origin;                ///< of a sender that asks whether it may; empty: none
  std::string allowed_methods;               ///< of a path that does not know this one
  std::vector<api::problem_detail> rejected; ///< invalid events beside valid ones
  int64_t wall_us = 0;
  time_point began{};
  time_point decided{};    ///< when it was decided what becomes of it
  std::string client;      ///< its address, as trusted proxies tell it; empty: not asked for
  std::string rate_policy; ///< of the quotas that it spends from: RateLimit-Policy; empty: none
  std::string rate_left;   ///< RateLimit
  std::weak_ptr<connection_link> link; ///< null: not known
  gone_flag gone;                      ///< of a question: whether nobody waits for its answer
  bool is_probe = false;               ///< the service asks itself: counted nowhere
  bool head = false;
  bool asks_options = false;
  bool origin_by_name = false; ///< and not by "*"
  bool atomic = false;
  bool untagged = false; ///< the answer is another one each time
  /// Where a client on this machine has connected to on loopback, if its Host is a name that
  /// strangers can have; else 0.
  uint16_t loopback_port = 0;

  bool is_ingest() const { return route && route->serves->kind == endpoint_kind::ingest; }
};

/// A ticket is a slot and a generation, so that a late answer never meets another request.
class exchange_table {
public:
  explicit exchange_table(uint64_t seed) : seed_(seed) {}

  /// Whether a client's X-Request-Id may be used: `[A-Za-z0-9._-]{1,128}`.
  static bool acceptable(std::string_view id);

  exchange& add(restinio::request_handle_t request, int64_t wall_us);
  /// Null for a request that was answered already.
  exchange* find(ticket to);
  void remove(ticket to);
  size_t size() const { return size_; }
  std::vector<ticket> older_than(time_point limit) const;
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& slot : slots_)
      if (slot.used)
        visit(slot.content);
  }

  /// An id of our own: 16 hex digits of the process, then a counter.
  std::string next_request_id();

private:
  struct slot {
    exchange content;
    uint32_t generation = 0;
    bool used = false;
  };

  std::vector<slot> slots_;
  std::vector<uint32_t> free_;
  size_t size_ = 0;
  uint64_t seed_;
  uint64_t counter_ = 0;
};

} // namespace phi::http
