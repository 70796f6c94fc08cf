// What mlx-rs calls and x86-64 Linux lacks.
#include <cstdint>
#include <cstring>
#include <ctime>
#include <exception>

#include "mlx/c/array.h"
#include "mlx/c/error.h"
#include "mlx/c/private/mlx.h"

// mlx-c declares its half-precision accessors on Arm alone. uint16_t has the same size and passes through the
// same registers as the structs that bindings.rs declares.
namespace {

template <typename T>
int item(uint16_t* result, const mlx_array array) {
  try {
    const T value = mlx_array_get_(array).item<T>();
    std::memcpy(result, &value, sizeof *result);
    return 0;
  } catch (const std::exception& error) {
    mlx_error(error.what());
    return 1;
  }
}

template <typename T>
const uint16_t* data(const mlx_array array) {
  try {
    return reinterpret_cast<const uint16_t*>(mlx_array_get_(array).data<T>());
  } catch (const std::exception& error) {
    mlx_error(error.what());
    return nullptr;
  }
}

}  // namespace

extern "C" {

int mlx_array_item_float16(uint16_t* result, const mlx_array array) {
  return item<mlx::core::float16_t>(result, array);
}

int mlx_array_item_bfloat16(uint16_t* result, const mlx_array array) {
  return item<mlx::core::bfloat16_t>(result, array);
}

const uint16_t* mlx_array_data_float16(const mlx_array array) {
  return data<mlx::core::float16_t>(array);
}

const uint16_t* mlx_array_data_bfloat16(const mlx_array array) {
  return data<mlx::core::bfloat16_t>(array);
}

// macOS's clock, from which mlx-rs seeds its default random state.
uint64_t mach_approximate_time() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}
}
