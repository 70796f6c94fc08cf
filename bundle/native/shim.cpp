// What mlx-rs calls and x86-64 Linux lacks, and a faster way to OpenBLAS for MLX.
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
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
  } catch (...) {
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
  } catch (...) {
    return nullptr;
  }
}

}  // namespace

// OpenBLAS's, which the program is linked with.
extern "C" {
enum Order : int { RowMajor = 101 };
enum Transpose : int { NoTrans = 111, Trans = 112 };
void cblas_sgemv(Order, Transpose, int m, int n, float alpha, const float* a, int lda, const float* x, int incx,
                 float beta, float* y, int incy);
void openblas_set_num_threads(int);
int openblas_get_num_procs(void);
}

namespace {

using Sgemm = void (*)(Order, Transpose, Transpose, int m, int n, int k, float alpha, const float* a, int lda,
                       const float* b, int ldb, float beta, float* c, int ldc);

// The next cblas_sgemm in the order of symbol lookup after this program's own: OpenBLAS's.
Sgemm openblas_sgemm() {
  static const auto found = [] {
    const auto symbol = reinterpret_cast<Sgemm>(dlsym(RTLD_NEXT, "cblas_sgemm"));
    if (symbol == nullptr) {
      std::fputs("error: no OpenBLAS beside this program: run bundle/setup again\n", stderr);
      std::_Exit(3);
    }
    return symbol;
  }();
  return found;
}

// Threads cost more than they save on products of less than a millisecond, where they mostly wait for each other; and as they
// spin while they wait, next to a busy core the wait becomes many times the work. MLX runs all products on one thread, so a plain
// variable suffices.
void set_threads_for(double products) {
  constexpr double worth_sharing = 1 << 23;
  static int current = 0;
  const int wanted = products < worth_sharing ? 1 : openblas_get_num_procs();
  if (wanted != current) {
    openblas_set_num_threads(wanted);
    current = wanted;
  }
}

}  // namespace

extern "C" {

// MLX calls this for every product, also of a single row, for which OpenBLAS would pack the whole weight matrix first. A
// row times a matrix is a matrix-vector product. This definition comes before OpenBLAS's in symbol lookup.
void cblas_sgemm(Order order, Transpose trans_a, Transpose trans_b, int m, int n, int k, float alpha, const float* a,
                 int lda, const float* b, int ldb, float beta, float* c, int ldc) {
  set_threads_for(static_cast<double>(m) * n * k);
  if (order == RowMajor && trans_a == NoTrans && m == 1) {
    const int rows = trans_b == NoTrans ? k : n;
    const int columns = trans_b == NoTrans ? n : k;
    const Transpose trans = trans_b == NoTrans ? Trans : NoTrans;
    cblas_sgemv(RowMajor, trans, rows, columns, alpha, b, ldb, a, 1, beta, c, 1);
    return;
  }
  openblas_sgemm()(order, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

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
