#pragma once
/// How one finds out whether the public listener accepts and answers: by asking, as a client does.
/// The service asks itself, and phictl asks it.

#include "protocol/outcome.hpp"
#include "protocol/time.hpp"

#include <atomic>
#include <string>
#include <string_view>

namespace phi {

/// Asks `address`, such as "127.0.0.1:3939" or "[::1]:3939", once. Success: it has answered, or
/// could not be asked. Blocks up to `limit`, or until `given_up`. `sign`: goes along as the header
/// X-Phi-Probe; may be empty.
outcome ask_listener(const std::string& address, std::string_view sign, duration limit,
                     const std::atomic<bool>& given_up);

} // namespace phi
