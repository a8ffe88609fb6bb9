#pragma once
/// Writes an answer, on the connection of its request or as bytes.

#include "server/http/exchanges.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace phi::http {

struct answer {
  int status = 200;
  std::string body;
  std::string_view type = "application/json"; ///< of the body; a literal
  uint32_t retry_after_s = 0;                 ///< 0: no such header
  error_code code = error_code::none;         ///< of what went wrong
  std::string tag = {};                       ///< with its quotes; empty: no ETag
  std::string_view page_policy = {};          ///< Content-Security-Policy of a page; a literal
};

/// The answer to a question of `to`. Its tag is made of the whole body, so it is another one
/// whenever anything in the answer is, whatever the reason; who has the same already is told so
/// (304), and the body is not written.
answer answer_to_question(const exchange& to, std::string body);

/// Never inside RESTinio's request handler: it would read on before the answer is out. `close` ends
/// the connection behind it.
void write_answer(const exchange& to, answer reply, bool close);

/// The head of an answer of server-sent events that follow one by one; the connection ends behind
/// it. The same as for `write_answer` holds.
restinio::response_builder_t<restinio::chunked_output_t> begin_stream(const exchange& to);

/// The whole answer as it goes over the wire, and the last on its connection: for requests that
/// RESTinio does not see, or not to their end.
std::string answer_text(const exchange& to, const answer& reply);

} // namespace phi::http
