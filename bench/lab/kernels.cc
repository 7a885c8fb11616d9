// The same operations as `spanflow bench kernels` measures, called from C++ with Google Benchmark:
// what the lab says is held against it by bench/lab/agreement.py.
//
// Owns: the arrays of a benchmark while it runs. Threads: one. Attached: not needed.
// Fails: a benchmark whose operation fails is skipped with its message.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "array/create.h"
#include "array/elementwise.h"
#include "array/reduce.h"
#include "runtime/pool.h"

namespace {

using spanflow::array::View;
using spanflow::base::DType;
using spanflow::base::Kind;
namespace array = spanflow::array;
namespace simd = spanflow::simd;

View Numbers(int64_t size) {
  View view = array::Empty(DType(Kind::kF32), {size}).value();
  for (int64_t i = 0; i < size; ++i) {
    const float number = static_cast<float>(i * 7919 % 2001) / 100 - 10;
    std::memcpy(view.data + i * 4, &number, sizeof(number));
  }
  return view;
}

void Report(benchmark::State& state, int64_t arrays) {
  state.SetBytesProcessed(state.iterations() * state.range(0) * 4 * arrays);
}

void RunElementwise(benchmark::State& state, simd::Op op) {
  const auto arity = static_cast<size_t>(simd::InfoOf(op).arity);
  std::vector<View> operands;
  std::vector<const View*> in;
  for (size_t k = 0; k < arity; ++k) operands.push_back(Numbers(state.range(0)));
  for (const View& operand : operands) in.push_back(&operand);
  const View out = Numbers(state.range(0));
  for (auto _ : state) {
    const auto status = array::Elementwise(op, in, Kind::kF32, out);
    if (!status.ok()) state.SkipWithError(status.message().c_str());
  }
  Report(state, static_cast<int64_t>(arity) + 1);
}

void RunReduction(benchmark::State& state, simd::Reduction reduction) {
  const View in = Numbers(state.range(0));
  const View out = array::Empty(DType(Kind::kF32), {}).value();
  for (auto _ : state) {
    const auto status = array::Reduce(reduction, in, array::AllAxes(1), {}, out);
    if (!status.ok()) state.SkipWithError(status.message().c_str());
  }
  Report(state, 1);
}

// Sizes for which the way through Python, half a microsecond, is 2 % of the work or less.
void Sizes(benchmark::internal::Benchmark* made) { made->Arg(1 << 18)->Arg(1 << 20)->Arg(1 << 22); }

}  // namespace

int main(int argc, char** argv) {
  spanflow::runtime::SetNumThreads(1);
  for (const simd::Op op : {simd::Op::kAdd, simd::Op::kMultiply, simd::Op::kExp, simd::Op::kSqrt}) {
    benchmark::RegisterBenchmark(simd::InfoOf(op).name, RunElementwise, op)->Apply(Sizes);
  }
  for (const auto reduction : {simd::Reduction::kSum, simd::Reduction::kMax}) {
    benchmark::RegisterBenchmark(simd::InfoOf(reduction).name, RunReduction, reduction)
        ->Apply(Sizes);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
