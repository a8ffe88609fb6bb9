#pragma once
/// The settings as they travel with `apply`. What is in them is the business of config/, which this
/// room does not see.

#include <memory>

namespace phi {

struct config;
using config_ptr = std::shared_ptr<const config>;

} // namespace phi
