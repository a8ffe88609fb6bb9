// The heavy headers of this room, compiled once.
#include "protocol/actors.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>
