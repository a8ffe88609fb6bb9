#pragma once
// One place that includes doctest, so that all tests see the same configuration.
#include <doctest/doctest.h>
