// An MLX operation whose arithmetic is a function of this program's, and a count of the operations in a graph. MLX's CPU backend
// makes dozens of small operations of a transformer layer; src/mlx/cpu computes a whole transformer as one.
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <unordered_set>
#include <utility>
#include <vector>

#include "mlx/allocator.h"
#include "mlx/array.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/c/array.h"
#include "mlx/c/private/mlx.h"
#include "mlx/c/stream.h"
#include "mlx/ops.h"
#include "mlx/primitives.h"
#include "mlx/utils.h"

namespace mx = mlx::core;

extern "C" {
// Computes `output` from `inputs`, both float32 and contiguous; runs on the thread of MLX's stream.
using HostRun = void (*)(void* context, const float* const* inputs, const size_t* sizes, size_t count, float* output,
                         size_t output_size);
using HostDrop = void (*)(void* context);
}

namespace {

class HostOp : public mx::Primitive {
 public:
  HostOp(mx::Stream stream, HostRun run, std::shared_ptr<void> context)
      : Primitive(stream), run_(run), context_(std::move(context)) {}

  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override {
    auto& output = outputs[0];
    output.set_data(mx::allocator::malloc(output.nbytes()));
    std::vector<mx::array> held;
    for (const auto& input : inputs) held.push_back(mx::array::unsafe_weak_copy(input));
    auto& encoder = mx::cpu::get_command_encoder(stream());
    for (const auto& input : inputs) encoder.set_input_array(input);
    encoder.set_output_array(output);
    encoder.dispatch([run = run_, context = context_, held = std::move(held),
                      output = mx::array::unsafe_weak_copy(output)]() mutable {
      std::vector<const float*> data;
      std::vector<size_t> sizes;
      for (auto& input : held) {
        data.push_back(input.data<float>());
        sizes.push_back(input.size());
      }
      run(context.get(), data.data(), sizes.data(), data.size(), output.data<float>(), output.size());
    });
  }

  void eval_gpu(const std::vector<mx::array>&, std::vector<mx::array>&) override {
    throw std::runtime_error("an operation of the processor was given to a GPU");
  }

  const char* name() const override { return "HostOp"; }

 private:
  HostRun run_;
  std::shared_ptr<void> context_;
};

}  // namespace

extern "C" {

// Takes `context` over, whatever happens, and gives it to `drop` in the end.
int csm_host_op(mlx_array* result, const mlx_array* inputs, size_t count, const int* shape, size_t rank,
                const mlx_stream on, HostRun run, HostDrop drop, void* context) {
  try {
    std::shared_ptr<void> owned(context, drop);
    const auto stream = mlx_stream_get_(on);
    std::vector<mx::array> arrays;
    for (size_t i = 0; i < count; i++) {
      arrays.push_back(mx::contiguous(mx::astype(mlx_array_get_(inputs[i]), mx::float32, stream), false, stream));
    }
    mx::array output(mx::Shape(shape, shape + rank), mx::float32, std::make_shared<HostOp>(stream, run, std::move(owned)),
                     std::move(arrays));
    mlx_array_set_(*result, std::move(output));
    return 0;
  } catch (...) {
    return 1;
  }
}

// Operations that evaluating `outputs` would run; 0 if they cannot be counted.
size_t csm_count_operations(const mlx_array* outputs, size_t count) try {
  std::unordered_set<std::uintptr_t> arrays, operations;
  std::vector<mx::array> pending;
  for (size_t i = 0; i < count; i++) pending.push_back(mlx_array_get_(outputs[i]));
  while (!pending.empty()) {
    const auto array = std::move(pending.back());
    pending.pop_back();
    if (array.status() != mx::array::Status::unscheduled || !array.has_primitive()) continue;
    if (!arrays.insert(array.id()).second) continue;
    operations.insert(array.primitive_id());
    for (const auto& input : array.inputs()) pending.push_back(input);
  }
  return operations.size();
} catch (...) {
  return 0;
}
}
