// mlx-c calls std::format, and GCC 12 (Debian 12) has no <format>. Header-only libfmt stands in where it is missing.
#pragma once
#if defined(__cplusplus)
#include <version>
#ifndef __cpp_lib_format
#define FMT_HEADER_ONLY
#include <fmt/format.h>
namespace std {
using fmt::format;
}
#endif
#endif
