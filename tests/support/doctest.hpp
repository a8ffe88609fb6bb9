#pragma once
// One place that includes doctest, so that all tests see the same configuration.
#define DOCTEST_CONFIG_SUPER_FAST_ASSERTS // to compile, by a fifth
#include <doctest/doctest.h>
