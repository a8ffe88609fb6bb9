#pragma once
/// Where the actors and the stores find it.

#include "protocol/fault_point.hpp"
