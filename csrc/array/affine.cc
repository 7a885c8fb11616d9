#include "array/affine.h"

#include <algorithm>
#include <string>

#include "array/copy.h"
#include "array/iterate.h"
#include "array/loader.h"
#include "array/overlap.h"
#include "array/promote.h"
#include "array/split.h"
#include "platform/topology.h"
#include "simd/kernels.h"

namespace spanflow::array {
namespace {

using base::Kind;
using base::Status;

struct AffineRun {
  LoadPlan load;
  StorePlan store;
  simd::ElementwiseFn fn;
  bool streams;
  alignas(8) std::byte scale[8];  // of the kind that it is computed in
  alignas(8) std::byte offset[8];

  void operator()(int64_t begin, int64_t end) const {
    Scratch scratch[2];
    Loader loader;
    Storer storer;
    loader.Start(&load, &scratch[0], begin);
    storer.Start(&store, &scratch[1], begin);
    const int64_t block = std::min(load.capacity, store.capacity);
    while (begin < end) {
      const int64_t n = storer.Prefer(loader.Prefer(std::min(block, end - begin)));
      const void* const operands[] = {loader.Next(n), scale, offset};
      fn(operands, storer.Begin(n), static_cast<size_t>(n));
      storer.End(n);
      begin += n;
    }
    if (streams) simd::FlushStreams();
  }
};

void SetNumber(double value, Kind kind, std::byte* number) {
  simd::FindCast(Kind::kF64, kind)(&value, number, 1);
}

bool WorthStreaming(const AffineRun& run, int64_t written) {
  constexpr int64_t kSurelyFits = int64_t{1} << 20;
  return run.store.in_place && written > kSurelyFits && written > platform::Caches().last_level;
}

void RunApart(const View& in, double scale, double offset, const View& out, bool in_place,
              const RunOptions& options) {
  const Kind compute = ComputeKind(out.dtype().kind());
  const Kind from = in.dtype().kind();
  const bool direct = simd::FindAffine(from, compute).run != nullptr;
  const simd::ElementwiseKernel kernel = simd::FindAffine(direct ? from : compute, compute);
  const std::span shape(out.layout.shape.data(), static_cast<size_t>(out.ndim()));
  const std::span out_strides(out.layout.strides.data(), shape.size());
  const AxisOrder order = OrderByStrides(shape, out_strides);
  AffineRun run;
  MakeWalk(in.data, shape, {in.layout.strides.data(), shape.size()}, order, &run.load.walk);
  MakeWalk(out.data, shape, out_strides, order, &run.store.walk);
  run.load.Make(in.dtype(), direct ? from : compute);
  run.store.Make(out.dtype(), compute);
  run.fn = !in_place && WorthStreaming(run, out.layout.nbytes()) ? kernel.stream : kernel.run;
  run.streams = run.fn != kernel.run;
  SetNumber(scale, compute, run.scale);
  SetNumber(offset, compute, run.offset);
  Split(out.size(), in.dtype().itemsize() + out.dtype().itemsize(), options, run);
}

Status CheckAffine(const View& in, const View& out) {
  SPANFLOW_TRY(CheckKinds("affine", simd::kBoolKind | simd::kRealKinds, in.dtype().kind()));
  if (!base::IsFloat(out.dtype().kind())) {
    return Status::Type(
        "affine computes in floats: its result is float16, bfloat16, float32 or "
        "float64, not " +
        out.dtype().ToString());
  }
  if (out.readonly) return Status::Value("output array is read-only");
  if (out.layout.shape == in.layout.shape) return Status::Ok();
  return Status::Value("affine(): out has shape " + base::ToString(out.layout.shape) +
                       ", but the result has shape " + base::ToString(in.layout.shape));
}

}  // namespace

Status Affine(const View& in, double scale, double offset, const View& out,
              const RunOptions& options) {
  SPANFLOW_TRY(CheckAffine(in, out));
  if (in.size() == 0) return Status::Ok();
  RunScope scope;
  SPANFLOW_TRY(scope.Add(in));
  SPANFLOW_TRY(scope.Add(out));
  const auto footprint = [](const View& view) {
    return Footprint{view.data,
                     {view.layout.strides.data(), static_cast<size_t>(view.ndim())},
                     view.dtype().itemsize()};
  };
  const Overlap overlap = FindOverlap({out.layout.shape.data(), static_cast<size_t>(out.ndim())},
                                      footprint(in), footprint(out));
  if (overlap == Overlap::kPartial) {
    SPANFLOW_ASSIGN(const View apart, CopyToNew(in, in.dtype(), false, options));
    RunApart(apart, scale, offset, out, false, options);
  } else {
    RunApart(in, scale, offset, out, overlap == Overlap::kSame, options);
  }
  return scope.Finish();
}

}  // namespace spanflow::array
