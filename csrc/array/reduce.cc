#include "array/reduce.h"

#include <cstring>
#include <string>
#include <vector>

#include "array/copy.h"
#include "array/create.h"
#include "array/fold.h"
#include "array/iterate.h"
#include "array/loader.h"
#include "array/overlap.h"
#include "array/promote.h"
#include "array/reduce_axes.h"

namespace spanflow::array {
namespace {

using base::Kind;
using base::Status;
using simd::Accumulator;
using simd::Reduction;

std::span<const int64_t> Spanned(const base::Dims& dims) {
  return {dims.data(), static_cast<size_t>(dims.size())};
}

Status CheckReduction(Reduction reduction, const base::DType& dtype) {
  return ResolveReduction(reduction, dtype.kind()).TakeStatus();
}

Status CheckOutput(const View& out) {
  if (!out.dtype().numeric()) {
    return Status::Type("the result of a reduction is a number, the output array has dtype " +
                        out.dtype().ToString());
  }
  if (out.readonly) return Status::Value("output array is read-only");
  return Status::Ok();
}

// Without an element there is no smallest one.
Status CheckIdentity(Reduction reduction, int64_t count) {
  if (count > 0 || (reduction != Reduction::kMin && reduction != Reduction::kMax)) {
    return Status::Ok();
  }
  return Status::Value(std::string("zero-size array to reduction operation ") +
                       simd::InfoOf(reduction).name + " which has no identity");
}

// The one value of kind `kind` at `value` becomes the one element of `out`.
void StoreOne(const std::byte* value, Kind kind, const View& out) {
  const Conversion convert = ConvertOnStore(out.dtype(), kind);
  alignas(16) std::byte item[16];
  if (convert.cast != nullptr) {
    convert.cast(value, item, 1);
    value = item;
  }
  if (convert.swap != nullptr) {
    convert.swap(value, item, static_cast<size_t>(convert.swap_units));
    value = item;
  }
  std::memcpy(out.data, value, static_cast<size_t>(convert.memory_size));
}

void FinishOne(Reduction reduction, Kind kind, const Accumulator& acc, double ddof,
               const View& out) {
  const Kind compute = ComputeKind(kind);
  alignas(16) std::byte value[16];
  simd::FindReduction(reduction, compute).finish(&acc, ddof, value);
  StoreOne(value, simd::ResultKind(reduction, compute), out);
}

void PlanAll(const View& in, LoadPlan* load) {
  const AxisOrder order = OrderByStrides(Spanned(in.layout.shape), Spanned(in.layout.strides));
  MakeWalk(in.data, Spanned(in.layout.shape), Spanned(in.layout.strides), order, &load->walk);
  load->Make(in.dtype(), ComputeKind(in.dtype().kind()));
}

Status CheckMany(std::span<const Reduction> reductions, Kind kind, size_t accumulators) {
  if (reductions.size() != accumulators) {
    return Status::Value(std::to_string(reductions.size()) + " reductions need as many results, " +
                         std::to_string(accumulators) + " were given");
  }
  for (Reduction reduction : reductions) {
    SPANFLOW_TRY(ResolveReduction(reduction, kind).TakeStatus());
  }
  return Status::Ok();
}

// Sorts the axes into kept and reduced ones; false when the kept ones are not the output's.
bool SortAxes(const View& in, const AxisSet& reduced, const View& out, AxesTask* task) {
  int o = 0;
  const base::Layout& to = out.layout;
  for (int i = 0; i < in.ndim(); ++i) {
    const int64_t extent = in.layout.shape[i];
    if (reduced[static_cast<size_t>(i)]) {
      task->reduced_shape[task->reduced] = extent;
      task->reduced_strides[task->reduced++] = in.layout.strides[i];
      continue;
    }
    if (extent == 1) continue;
    while (o < to.ndim() && to.shape[o] == 1) ++o;
    if (o == to.ndim() || to.shape[o] != extent) return false;
    task->kept_shape[task->kept] = extent;
    task->kept_strides[task->kept] = in.layout.strides[i];
    task->out_strides[task->kept++] = to.strides[o++];
  }
  while (o < to.ndim() && to.shape[o] == 1) ++o;
  return o == to.ndim();
}

// The axes are the caller's word for `reduced`; min and max of nothing were refused before.
Status ReduceNothing(Reduction reduction, Kind kind, double ddof, const View& out,
                     const RunOptions& options) {
  const Kind compute = ComputeKind(kind);
  const simd::ReductionKernel kernel = simd::FindReduction(reduction, compute);
  Accumulator acc;
  alignas(16) std::byte value[16];
  kernel.init(&acc);
  kernel.finish(&acc, ddof, value);
  const View item{{}, value, {base::DType(simd::ResultKind(reduction, compute)), {}, {}}, true};
  return Fill(out, item, options);
}

Status ReduceInto(Reduction reduction, const View& in, double ddof, const View& out, AxesTask* task,
                  const RunOptions& options) {
  const Kind kind = in.dtype().kind(), compute = ComputeKind(kind);
  if (out.size() == 0) return Status::Ok();
  if (in.size() == 0) return ReduceNothing(reduction, kind, ddof, out, options);
  if (out.size() == 1) {
    LoadPlan load;
    PlanAll(in, &load);
    const simd::ReductionKernel kernel = simd::FindReduction(reduction, compute);
    Accumulator acc;
    kernel.init(&acc);
    FoldAll(load, in.size(), {{&kernel, 1}}, &acc, options);
    FinishOne(reduction, kind, acc, ddof, out);
    return Status::Ok();
  }
  task->kernel = simd::FindReduction(reduction, compute);
  task->column = simd::FindColumnReduction(reduction, compute);
  task->compute = compute;
  task->result = simd::ResultKind(reduction, compute);
  task->ddof = ddof;
  task->in_type = &in.dtype();
  task->in = in.data;
  task->out_type = &out.dtype();
  task->out = out.data;
  ReduceAxes(*task, options);
  return Status::Ok();
}

}  // namespace

AxisSet AllAxes(int ndim) {
  AxisSet axes;
  for (int i = 0; i < ndim; ++i) axes.set(static_cast<size_t>(i));
  return axes;
}

base::Dims ReducedShape(const base::Dims& shape, const AxisSet& reduced, bool keepdims) {
  base::Dims result;
  for (int i = 0; i < shape.size(); ++i) {
    if (!reduced[static_cast<size_t>(i)])
      result.push_back(shape[i]);
    else if (keepdims)
      result.push_back(1);
  }
  return result;
}

Status Reduce(Reduction reduction, const View& in, const AxisSet& reduced, double ddof,
              const View& out, const RunOptions& options) {
  SPANFLOW_TRY(CheckReduction(reduction, in.dtype()));
  SPANFLOW_TRY(CheckOutput(out));
  AxesTask task;
  if (!SortAxes(in, reduced, out, &task)) {
    return Status::Value("the output has shape " + base::ToString(out.layout.shape) +
                         ", the reduction gives shape " +
                         base::ToString(ReducedShape(in.layout.shape, reduced, false)));
  }
  int64_t count = 1;
  for (int i = 0; i < task.reduced; ++i) count *= task.reduced_shape[i];
  SPANFLOW_TRY(CheckIdentity(reduction, count));
  RunScope scope;
  SPANFLOW_TRY(scope.Add(in));
  SPANFLOW_TRY(scope.Add(out));
  // One result is written after everything has been read; several are not.
  if (out.size() > 1 && MayShareMemory(in, out)) {
    SPANFLOW_ASSIGN(const View apart, Empty(out.dtype(), out.layout.shape));
    SPANFLOW_TRY(Reduce(reduction, in, reduced, ddof, apart, options));
    SPANFLOW_TRY(Copy(apart, out, options));
  } else {
    SPANFLOW_TRY(ReduceInto(reduction, in, ddof, out, &task, options));
  }
  return scope.Finish();
}

Status InitAccumulators(std::span<const Reduction> reductions, Kind kind,
                        std::span<Accumulator> into) {
  SPANFLOW_TRY(CheckMany(reductions, kind, into.size()));
  for (size_t i = 0; i < reductions.size(); ++i) {
    simd::FindReduction(reductions[i], ComputeKind(kind)).init(&into[i]);
  }
  return Status::Ok();
}

Status Accumulate(std::span<const Reduction> reductions, const View& in,
                  std::span<Accumulator> into, const RunOptions& options) {
  const Kind kind = in.dtype().kind();
  SPANFLOW_TRY(CheckMany(reductions, kind, into.size()));
  RunScope scope;
  SPANFLOW_TRY(scope.Add(in));
  if (in.size() == 0 || reductions.empty()) return Status::Ok();
  const SharedKernels shared(reductions, ComputeKind(kind));
  Accumulator partial[simd::kNumReductions];
  for (size_t k = 0; k < shared.size(); ++k) shared[k].init(&partial[k]);
  LoadPlan load;
  PlanAll(in, &load);
  FoldAll(load, in.size(), shared.All(), partial, options);
  for (size_t i = 0; i < reductions.size(); ++i) {
    const size_t k = shared.PlaceOf(reductions[i]);
    shared[k].merge(&into[i], &partial[k]);
  }
  return scope.Finish();
}

Status MergeAccumulators(std::span<const Reduction> reductions, Kind kind,
                         std::span<Accumulator> into, std::span<const Accumulator> more) {
  SPANFLOW_TRY(CheckMany(reductions, kind, into.size()));
  SPANFLOW_TRY(CheckMany(reductions, kind, more.size()));
  for (size_t i = 0; i < reductions.size(); ++i) {
    simd::FindReduction(reductions[i], ComputeKind(kind)).merge(&into[i], &more[i]);
  }
  return Status::Ok();
}

Status FinishAccumulators(std::span<const Reduction> reductions, Kind kind,
                          std::span<const Accumulator> from, int64_t count, double ddof,
                          std::span<const View> outs) {
  SPANFLOW_TRY(CheckMany(reductions, kind, from.size()));
  SPANFLOW_TRY(CheckMany(reductions, kind, outs.size()));
  RunScope scope;
  for (size_t i = 0; i < reductions.size(); ++i) {
    SPANFLOW_TRY(CheckIdentity(reductions[i], count));
    SPANFLOW_TRY(CheckOutput(outs[i]));
    if (outs[i].size() != 1) {
      return Status::Value("each result needs an output of one element, shape " +
                           base::ToString(outs[i].layout.shape) + " was given");
    }
    SPANFLOW_TRY(scope.Add(outs[i]));
  }
  for (size_t i = 0; i < reductions.size(); ++i) {
    FinishOne(reductions[i], kind, from[i], ddof, outs[i]);
  }
  return scope.Finish();
}

Status ReduceMany(std::span<const Reduction> reductions, const View& in, double ddof,
                  std::span<const View> outs, const RunOptions& options) {
  const Kind kind = in.dtype().kind();
  std::vector<Accumulator> accumulators(reductions.size());
  SPANFLOW_TRY(InitAccumulators(reductions, kind, accumulators));
  SPANFLOW_TRY(Accumulate(reductions, in, accumulators, options));
  return FinishAccumulators(reductions, kind, accumulators, in.size(), ddof, outs);
}

}  // namespace spanflow::array
