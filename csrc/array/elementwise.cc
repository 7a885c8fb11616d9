#include "array/elementwise.h"

#include <optional>
#include <string>

#include "array/copy.h"
#include "array/iterate.h"
#include "array/loader.h"
#include "array/overlap.h"
#include "array/promote.h"
#include "array/reduce.h"
#include "array/split.h"
#include "platform/topology.h"
#include "simd/kernels.h"

namespace spanflow::array {
namespace {

using base::Kind;
using base::Status;

constexpr size_t kMaxInputs = 3;

// An output that does not fit into the last cache would only push everything else out of it.
bool WorthStreaming(int64_t output_bytes) {
  constexpr int64_t kSurelyFits = int64_t{1} << 20;
  return output_bytes > kSurelyFits && output_bytes > platform::Caches().last_level;
}

// The kernel and the kinds of its operands.
struct Kernel {
  simd::ElementwiseFn run = nullptr;
  simd::ElementwiseFn stream = nullptr;  // null: there is none
  Kind in[kMaxInputs];
  Kind out;

  // The kernel for an output of so many bytes, which may also be an input.
  simd::ElementwiseFn For(int64_t output_bytes, bool in_place) const {
    return stream != nullptr && !in_place && WorthStreaming(output_bytes) ? stream : run;
  }
};

Status CheckOperands(simd::Op op, std::span<const View* const> in, const View& out) {
  const simd::OpInfo& info = simd::InfoOf(op);
  if (in.size() != static_cast<size_t>(info.arity)) {
    return Status::Type(std::string(info.name) + " takes " + std::to_string(info.arity) +
                        " operands, " + std::to_string(in.size()) + " were given");
  }
  bool numeric = out.dtype().numeric();
  for (const View* view : in) numeric = numeric && view->dtype().numeric();
  if (!numeric) {
    return Status::Type(std::string(info.name) +
                        " needs numeric arrays; take a field of a record array, as in a['x']");
  }
  if (out.readonly) return Status::Value("output array is read-only");
  return Status::Ok();
}

Status ChooseKernel(simd::Op op, std::span<const View* const> in, Kind compute, Kernel* kernel) {
  const simd::OpInfo& info = simd::InfoOf(op);
  for (size_t i = 0; i < in.size(); ++i) kernel->in[i] = compute;
  if (info.rule == simd::TypeRule::kSelect) kernel->in[0] = Kind::kBool;
  kernel->out = KernelResult(op, compute);
  if (info.rule == simd::TypeRule::kCompare && compute == Kind::kF64) {
    const simd::MixedCompare mixed =
        simd::FindMixedCompare(op, in[0]->dtype().kind(), in[1]->dtype().kind());
    if (mixed.run != nullptr) {
      kernel->run = mixed.run;
      kernel->in[0] = mixed.first;
      kernel->in[1] = mixed.second;
      return Status::Ok();
    }
  }
  const simd::ElementwiseKernel found = simd::FindKernel(op, compute);
  kernel->run = found.run;
  kernel->stream = found.stream;
  if (found.run != nullptr) return Status::Ok();
  return Status::Type(std::string(info.name) + " is not defined for " +
                      base::DType(compute).Name());
}

// Whole numbers have no whole power below zero, except for 1 and -1; NumPy refuses them all.
Status CheckExponent(const View& exponent, const RunOptions& options) {
  if (!base::IsSigned(exponent.dtype().kind()) || exponent.size() == 0) return Status::Ok();
  int64_t least = 0;
  View smallest;
  smallest.data = reinterpret_cast<std::byte*>(&least);
  smallest.layout.dtype = base::DType(Kind::kI64);
  const AxisSet all = AllAxes(exponent.ndim());
  SPANFLOW_TRY(Reduce(simd::Reduction::kMin, exponent, all, {}, smallest, options));
  if (least >= 0) return Status::Ok();
  return Status::Value("Integers to negative integer powers are not allowed.");
}

bool IsNative(const View& view, Kind kind) {
  return view.dtype().kind() == kind && !view.dtype().swapped();
}

// Every operand is memory without gaps in the same order: the kernel runs on it as it lies.
struct DenseRun {
  simd::ElementwiseFn fn;
  bool streams;
  size_t arity;
  const std::byte* in[kMaxInputs];
  int64_t in_size[kMaxInputs];
  std::byte* out;
  int64_t out_size;

  void operator()(int64_t begin, int64_t end) const {
    const void* from[kMaxInputs];
    for (size_t i = 0; i < arity; ++i) from[i] = in[i] + begin * in_size[i];
    fn(from, out + begin * out_size, static_cast<size_t>(end - begin));
    if (streams) simd::FlushStreams();
  }
};

// Whether the elements follow one another in memory in the given order.
bool IsDense(const base::Layout& layout, bool c_order) {
  if (layout.ndim() == 1) return layout.strides[0] == layout.dtype.itemsize();
  return c_order ? layout.c_contiguous() : layout.f_contiguous();
}

bool SameShape(const base::Dims& a, const base::Dims& b) {
  bool same = a.size() == b.size();
  for (int i = 0; same && i < a.size(); ++i) same = a[i] == b[i];
  return same;
}

// Fills `run` if the operands allow it. `in_place` says whether the output is also an input.
bool MakeDense(const Kernel& kernel, std::span<const View* const> in, const View& out, int64_t n,
               DenseRun* run, bool* in_place) {
  if (!IsNative(out, kernel.out)) return false;
  const bool c_order = IsDense(out.layout, true);
  if (!c_order && !IsDense(out.layout, false)) return false;
  run->arity = in.size();
  run->out = out.data;
  run->out_size = out.dtype().itemsize();
  *in_place = false;
  for (size_t i = 0; i < in.size(); ++i) {
    const View& view = *in[i];
    if (!IsNative(view, kernel.in[i]) || !SameShape(view.layout.shape, out.layout.shape) ||
        !IsDense(view.layout, c_order)) {
      return false;
    }
    run->in[i] = view.data;
    run->in_size[i] = view.dtype().itemsize();
    if (view.data == out.data && run->in_size[i] == run->out_size) {
      *in_place = true;
    } else if (view.data < out.data + n * run->out_size &&
               out.data < view.data + n * run->in_size[i]) {
      return false;
    }
  }
  return true;
}

// The general case: blocks through loaders and a storer.
struct BlockRun {
  simd::ElementwiseFn fn;
  bool streams;
  size_t arity;
  int64_t block = kNoLimit;
  LoadPlan loads[kMaxInputs];
  StorePlan store;

  void operator()(int64_t begin, int64_t end) const {
    Scratch scratch[kMaxInputs + 1];
    Loader loaders[kMaxInputs];
    Storer storer;
    for (size_t i = 0; i < arity; ++i) loaders[i].Start(&loads[i], &scratch[i], begin);
    storer.Start(&store, &scratch[kMaxInputs], begin);
    while (begin < end) {
      int64_t n = storer.Prefer(std::min(block, end - begin));
      for (size_t i = 0; i < arity; ++i) n = loaders[i].Prefer(n);
      const void* from[kMaxInputs];
      for (size_t i = 0; i < arity; ++i) from[i] = loaders[i].Next(n);
      fn(from, storer.Begin(n), static_cast<size_t>(n));
      storer.End(n);
      begin += n;
    }
    if (streams) simd::FlushStreams();
  }
};

// Makes the load plan of one input; an input that overlaps the output is copied first.
Status PlanInput(const View& given, Kind kind, const View& out, const AxisOrder& order,
                 const RunOptions& options, std::optional<View>* copy, LoadPlan* plan,
                 bool* in_place) {
  const View* in = &given;
  base::Dims strides;
  if (!BroadcastStrides(in->layout, out.layout.shape, &strides)) {
    return Status::Value("an operand of shape " + base::ToString(in->layout.shape) +
                         " cannot be broadcast to the output's shape " +
                         base::ToString(out.layout.shape));
  }
  const Overlap overlap =
      FindOverlap(Spanned(out.layout.shape), {in->data, Spanned(strides), in->dtype().itemsize()},
                  {out.data, Spanned(out.layout.strides), out.dtype().itemsize()});
  if (overlap == Overlap::kSame) *in_place = true;
  if (overlap == Overlap::kPartial) {
    SPANFLOW_ASSIGN(*copy, CopyToNew(given, given.dtype(), false, options));
    in = &**copy;
    BroadcastStrides(in->layout, out.layout.shape, &strides);
  }
  MakeWalk(in->data, Spanned(out.layout.shape), Spanned(strides), order, &plan->walk);
  plan->Make(in->dtype(), kind);
  return Status::Ok();
}

// Not inlined: its plans would make the stack frame of every small call large.
[[gnu::noinline]] Status RunGeneral(const Kernel& kernel, std::span<const View* const> in,
                                    const View& out, const RunOptions& options) {
  const int64_t n = out.size();
  const AxisOrder order = OrderByStrides(Spanned(out.layout.shape), Spanned(out.layout.strides));
  std::optional<View> copies[kMaxInputs];
  BlockRun run;
  run.arity = in.size();
  bool in_place = false;
  int64_t bytes = out.dtype().itemsize();
  for (size_t i = 0; i < in.size(); ++i) {
    SPANFLOW_TRY(
        PlanInput(*in[i], kernel.in[i], out, order, options, &copies[i], &run.loads[i], &in_place));
    run.block = std::min(run.block, run.loads[i].capacity);
    bytes += in[i]->dtype().itemsize();
  }
  MakeWalk(out.data, Spanned(out.layout.shape), Spanned(out.layout.strides), order,
           &run.store.walk);
  run.store.Make(out.dtype(), kernel.out);
  run.block = std::min(run.block, run.store.capacity);
  run.fn = kernel.For(n * out.dtype().itemsize(), in_place || !run.store.in_place);
  run.streams = run.fn != kernel.run;
  Split(n, bytes, options, run);
  return Status::Ok();
}

}  // namespace

Status Elementwise(simd::Op op, std::span<const View* const> in, Kind compute, const View& out,
                   const RunOptions& options) {
  SPANFLOW_TRY(CheckOperands(op, in, out));
  Kernel kernel;
  SPANFLOW_TRY(ChooseKernel(op, in, compute, &kernel));
  if (op == simd::Op::kPower && base::IsInteger(compute)) {
    SPANFLOW_TRY(CheckExponent(*in[1], options));
  }
  RunScope scope;
  for (const View* view : in) SPANFLOW_TRY(scope.Add(*view));
  SPANFLOW_TRY(scope.Add(out));
  const int64_t n = out.size();
  DenseRun dense;
  bool in_place;
  if (MakeDense(kernel, in, out, n, &dense, &in_place)) {
    int64_t bytes = dense.out_size;
    for (size_t i = 0; i < dense.arity; ++i) bytes += dense.in_size[i];
    dense.fn = kernel.For(n * dense.out_size, in_place);
    dense.streams = dense.fn != kernel.run;
    Split(n, bytes, options, dense);
  } else if (n > 0) {
    SPANFLOW_TRY(RunGeneral(kernel, in, out, options));
  } else {
    base::Dims strides;
    for (const View* view : in) {
      if (!BroadcastStrides(view->layout, out.layout.shape, &strides)) {
        return BroadcastTo(view->layout, out.layout.shape).TakeStatus();
      }
    }
  }
  return scope.Finish();
}

}  // namespace spanflow::array
