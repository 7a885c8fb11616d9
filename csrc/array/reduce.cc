#include "array/reduce.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "array/copy.h"
#include "array/create.h"
#include "array/elementwise.h"
#include "array/fold.h"
#include "array/iterate.h"
#include "array/loader.h"
#include "array/overlap.h"
#include "array/precise_sum.h"
#include "array/promote.h"
#include "array/reduce_axes.h"

namespace spanflow::array {
namespace {

using base::Kind;
using base::Status;
using simd::Accumulator;
using simd::Reduction;

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
  if (count > 0 || !simd::NeedsElements(reduction)) return Status::Ok();
  if (simd::IsPlace(reduction)) {
    return Status::Value(std::string("attempt to get ") + simd::InfoOf(reduction).name +
                         " of an empty sequence");
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

// Places are counted in C order; everything else is read as it lies in memory.
AxisOrder OrderOf(const View& in, bool in_order) {
  const std::span<const int64_t> shape = Spanned(in.layout.shape);
  return in_order ? OrderByAxes(shape) : OrderByStrides(shape, Spanned(in.layout.strides));
}

void PlanAll(const View& in, const AxisOrder& order, LoadPlan* load) {
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
// `where` has the strides of the mask seen with the shape of `in`.
bool SortAxes(const View& in, const AxisSet& reduced, const base::Dims& where, const View& out,
              AxesTask* task) {
  int o = 0;
  const base::Layout& to = out.layout;
  for (int i = 0; i < in.ndim(); ++i) {
    const int64_t extent = in.layout.shape[i];
    if (reduced[static_cast<size_t>(i)]) {
      task->reduced_shape[task->reduced] = extent;
      task->reduced_where_strides[task->reduced] = where[i];
      task->reduced_strides[task->reduced++] = in.layout.strides[i];
      continue;
    }
    if (extent == 1) continue;
    while (o < to.ndim() && to.shape[o] == 1) ++o;
    if (o == to.ndim() || to.shape[o] != extent) return false;
    task->kept_shape[task->kept] = extent;
    task->kept_where_strides[task->kept] = where[i];
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

// All elements, or those where the mask is true, into one result.
void ReduceToOne(Reduction reduction, const View& in, const ReduceHow& how,
                 const base::Dims& where_strides, const View& out, const RunOptions& options) {
  const Kind kind = in.dtype().kind();
  const AxisOrder order = OrderOf(in, simd::IsPlace(reduction));
  LoadPlan load, mask;
  PlanAll(in, order, &load);
  Sieve sieve;
  if (how.where != nullptr) {
    MakeWalk(how.where->data, Spanned(in.layout.shape), Spanned(where_strides), order, &mask.walk);
    mask.Make(how.where->dtype(), Kind::kBool);
    sieve.plan = &mask;
  }
  const simd::ReductionKernel kernel = simd::FindReduction(reduction, ComputeKind(kind));
  Accumulator acc;
  kernel.init(&acc);
  FoldAll(load, in.size(), {{&kernel, 1}}, &acc, options, sieve);
  FinishOne(reduction, kind, acc, how.ddof, out);
}

// Whether the elements are one grain that lies in memory as kernels read it: there is nothing to
// plan, which small arrays would wait for longer than for the work.
bool IsPlainGrain(const View& in) {
  const base::DType& dtype = in.dtype();
  return !dtype.swapped() && ComputeKind(dtype.kind()) == dtype.kind() && in.size() <= kGrain &&
         in.layout.c_contiguous();
}

void ReduceGrain(Reduction reduction, const View& in, double ddof, const View& out) {
  const Kind kind = in.dtype().kind();
  const simd::ReductionKernel kernel = simd::FindReduction(reduction, kind);
  Accumulator acc;
  kernel.init(&acc);
  if (in.size() != 0) kernel.update(&acc, in.data, static_cast<size_t>(in.size()));
  FinishOne(reduction, kind, acc, ddof, out);
}

Status ReduceInto(Reduction reduction, const View& in, const AxisSet& reduced, const ReduceHow& how,
                  const base::Dims& where_strides, const View& out, AxesTask* task,
                  const RunOptions& options) {
  const Kind kind = in.dtype().kind(), compute = ComputeKind(kind);
  // Sums of integers are exact as they are.
  if (how.precise && (base::IsFloat(kind) || base::IsComplex(kind))) {
    return PreciseSum(in, reduced, out, options);
  }
  if (out.size() == 0) return Status::Ok();
  if (in.size() == 0) return ReduceNothing(reduction, kind, how.ddof, out, options);
  if (out.size() == 1) {
    ReduceToOne(reduction, in, how, where_strides, out, options);
    return Status::Ok();
  }
  task->kernel = simd::FindReduction(reduction, compute);
  task->column = simd::FindColumnReduction(reduction, compute);
  task->compute = compute;
  task->result = simd::ResultKind(reduction, compute);
  task->ddof = how.ddof;
  task->in_order = simd::IsPlace(reduction);
  task->in_type = &in.dtype();
  task->in = in.data;
  task->out_type = &out.dtype();
  task->out = out.data;
  if (how.where != nullptr) {
    task->where_type = &how.where->dtype();
    task->where = how.where->data;
  }
  ReduceAxes(*task, options);
  return Status::Ok();
}

Status CheckPrecise(Reduction reduction, const ReduceHow& how) {
  if (!how.precise) return Status::Ok();
  if (reduction != Reduction::kSum) {
    return Status::Type(std::string(simd::InfoOf(reduction).name) + "() cannot be precise");
  }
  return how.where == nullptr ? Status::Ok()
                              : Status::Type("sum(): precise does not go with where");
}

Status CheckWhere(Reduction reduction, const View& in, const ReduceHow& how, base::Dims* strides) {
  if (how.where == nullptr) {
    strides->resize(in.ndim());
    return Status::Ok();
  }
  const std::string name = simd::InfoOf(reduction).name;
  if (simd::NeedsElements(reduction) && how.initial == nullptr) {
    return Status::Value("reduction operation '" + name +
                         "' does not have an identity, so to use a where mask one has to specify "
                         "'initial'");
  }
  if (how.where->dtype().kind() != Kind::kBool) {
    return Status::Type(name + "(): where has dtype bool, " + how.where->dtype().ToString() +
                        " was given");
  }
  if (!BroadcastStrides(how.where->layout, in.layout.shape, strides)) {
    return Status::Value(name + "(): where has shape " + base::ToString(how.where->layout.shape) +
                         ", which does not broadcast to " + base::ToString(in.layout.shape));
  }
  return Status::Ok();
}

// The operation by which an initial value joins a result; only some have one.
base::Result<simd::Op> JoinedBy(Reduction reduction) {
  switch (reduction) {
    case Reduction::kSum:
    case Reduction::kNanSum:
      return simd::Op::kAdd;
    case Reduction::kProd:
    case Reduction::kNanProd:
      return simd::Op::kMultiply;
    case Reduction::kMin:
      return simd::Op::kMinimum;
    case Reduction::kMax:
      return simd::Op::kMaximum;
    default:
      return Status::Type(std::string(simd::InfoOf(reduction).name) + "() takes no initial value");
  }
}

Status Join(Reduction reduction, const View& initial, const View& out, const RunOptions& options) {
  SPANFLOW_ASSIGN(const simd::Op op, JoinedBy(reduction));
  const View* const operands[] = {&out, &initial};
  return Elementwise(op, operands, ComputeKind(out.dtype().kind()), out, options);
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

bool TakesInitial(Reduction reduction) { return JoinedBy(reduction).ok(); }

Status Reduce(Reduction reduction, const View& in, const AxisSet& reduced, const ReduceHow& how,
              const View& out, const RunOptions& options) {
  SPANFLOW_TRY(CheckReduction(reduction, in.dtype()));
  SPANFLOW_TRY(CheckOutput(out));
  const bool is_plain = how.initial == nullptr && how.where == nullptr && !how.precise;
  if (is_plain && out.ndim() == 0 && reduced == AllAxes(in.ndim()) && IsPlainGrain(in)) {
    SPANFLOW_TRY(CheckIdentity(reduction, in.size()));
    RunScope scope;
    SPANFLOW_TRY(scope.Add(in));
    SPANFLOW_TRY(scope.Add(out));
    ReduceGrain(reduction, in, how.ddof, out);
    return scope.Finish();
  }
  if (how.initial != nullptr) SPANFLOW_TRY(JoinedBy(reduction).TakeStatus());
  SPANFLOW_TRY(CheckPrecise(reduction, how));
  base::Dims where_strides;
  SPANFLOW_TRY(CheckWhere(reduction, in, how, &where_strides));
  AxesTask task;
  if (!SortAxes(in, reduced, where_strides, out, &task)) {
    return Status::Value("the output has shape " + base::ToString(out.layout.shape) +
                         ", the reduction gives shape " +
                         base::ToString(ReducedShape(in.layout.shape, reduced, false)));
  }
  int64_t count = 1;
  for (int i = 0; i < task.reduced; ++i) count *= task.reduced_shape[i];
  if (how.initial == nullptr) SPANFLOW_TRY(CheckIdentity(reduction, count));
  RunScope scope;
  SPANFLOW_TRY(scope.Add(in));
  SPANFLOW_TRY(scope.Add(out));
  if (how.where != nullptr) SPANFLOW_TRY(scope.Add(*how.where));
  const bool overlaps =
      MayShareMemory(in, out) || (how.where != nullptr && MayShareMemory(*how.where, out));
  // One result is written after everything has been read; several are not.
  if (out.size() > 1 && overlaps) {
    SPANFLOW_ASSIGN(const View apart, Empty(out.dtype(), out.layout.shape));
    SPANFLOW_TRY(Reduce(reduction, in, reduced, how, apart, options));
    SPANFLOW_TRY(Copy(apart, out, options));
  } else {
    SPANFLOW_TRY(ReduceInto(reduction, in, reduced, how, where_strides, out, &task, options));
    if (how.initial != nullptr) SPANFLOW_TRY(Join(reduction, *how.initial, out, options));
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
  PlanAll(in, OrderOf(in, std::ranges::any_of(reductions, simd::IsPlace)), &load);
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
