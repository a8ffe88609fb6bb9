#pragma once
/// Addresses of machines, as text and as bytes.

#include <string>
#include <vector>

namespace phi {

/// 4 bytes of an IPv4 or 16 of an IPv6 address, the most significant first; nothing for what is no
/// address in its usual form.
std::vector<unsigned char> bytes_of_address(const std::string& text);

/// The one usual spelling; `bytes` as of `bytes_of_address`, not empty.
std::string text_of_address(const std::vector<unsigned char>& bytes);

/// Whether only this machine can reach an address. False for what is no address.
bool is_loopback_address(const std::string& text);

struct found_addresses {
  std::vector<std::string> list; ///< numeric
  std::string error;             ///< why there are none, for people
};

/// The addresses that a text spells; of names none.
found_addresses read_addresses(const std::string& text);

/// The addresses of a host. Asks whatever the system asks, for as long as that takes: nothing ends
/// it.
found_addresses look_up_addresses(const std::string& host);

} // namespace phi
