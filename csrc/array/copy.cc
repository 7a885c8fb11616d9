#include "array/copy.h"

#include <optional>
#include <string>

#include "array/create.h"
#include "array/index.h"
#include "array/iterate.h"
#include "array/loader.h"
#include "array/overlap.h"
#include "array/promote.h"
#include "array/split.h"
#include "array/transpose.h"
#include "platform/topology.h"
#include "simd/kernels.h"

namespace spanflow::array {
namespace {

using base::DType;
using base::Kind;
using base::Status;

struct CopyRun {
  LoadPlan load;
  StorePlan store;
  simd::ElementwiseFn stream = nullptr;  // for dense bytes that do not fit into the caches

  // How many elements one step may have. Without a conversion no register limits it.
  int64_t Block() const {
    if (store.in_place) return load.convert.none() ? kNoLimit : load.convert.register_items();
    return std::min(load.capacity, store.capacity);
  }

  void operator()(int64_t begin, int64_t end) const {
    if (stream != nullptr) return Stream(begin, end);
    Scratch scratch[2];
    Loader loader;
    Storer storer;
    loader.Start(&load, &scratch[0], begin);
    storer.Start(&store, &scratch[1], begin);
    const int64_t block = Block();
    while (begin < end) {
      const int64_t n = loader.Prefer(storer.Prefer(std::min(block, end - begin)));
      if (store.in_place) {
        loader.NextInto(n, static_cast<std::byte*>(storer.Begin(n)));
        storer.End(n);
      } else {
        storer.Put(static_cast<const std::byte*>(loader.Next(n)), n);
      }
      begin += n;
    }
  }

  // x | x is x: the kernel library's streaming stores, without a kernel of our own for copies.
  void Stream(int64_t begin, int64_t end) const {
    const int64_t size = load.convert.memory_size;
    const void* from = load.walk.data() + begin * size;
    const void* both[2] = {from, from};
    stream(both, store.walk.data() + begin * size, static_cast<size_t>((end - begin) * size));
    simd::FlushStreams();
  }
};

void Run(CopyRun* run, int64_t n, const RunOptions& options) {
  const int64_t bytes = run->load.convert.memory_size + run->store.convert.memory_size;
  const bool dense = run->load.in_place && run->store.in_place && run->load.walk.single_run() &&
                     run->store.walk.single_run();
  constexpr int64_t kSurelyFits = int64_t{1} << 20;
  const int64_t written = n * run->store.convert.memory_size;
  if (dense && written > kSurelyFits && written > platform::Caches().last_level) {
    run->stream = simd::FindKernel(simd::Op::kBitwiseOr, Kind::kU8).stream;
  }
  Split(n, bytes, options, *run);
}

// A saturating cast is that of the storer: what is loaded are numbers that kernels know.
void PlanSaturating(const DType& from_type, const DType& to_type, CopyRun* run) {
  const Kind loaded = ComputeKind(RealKind(from_type.kind()));
  run->load.Make(from_type, loaded);
  run->store.Make(to_type, loaded);
  if (loaded != to_type.kind()) {
    run->store.convert.cast = simd::FindSaturatingCast(loaded, to_type.kind());
  }
}

void CopyNumbers(const DType& from_type, const DType& to_type, std::span<const int64_t> shape,
                 int64_t n, const Side& from, const Side& to, const RunOptions& options,
                 CastHow how) {
  CopyRun run;
  const AxisOrder order = OrderByStrides(shape, to.strides);
  const Kind kind = to_type.kind();
  const bool alike = from_type.kind() == kind && from_type.swapped() == to_type.swapped();
  if (alike && CopyTransposed(shape, order, from, to, to_type.itemsize(), options)) return;
  MakeWalk(from.data, shape, from.strides, order, &run.load.walk);
  MakeWalk(to.data, shape, to.strides, order, &run.store.walk);
  if (alike) {
    run.load.MakeOpaque(to_type.itemsize());
    run.store.MakeOpaque(to_type.itemsize());
  } else if (how.saturate && base::IsInteger(kind)) {
    PlanSaturating(from_type, to_type, &run);
  } else {
    run.load.Make(from_type, kind);
    run.store.Make(to_type, kind);
  }
  Run(&run, n, options);
}

// Items of `width` bytes as they are. The bytes of an item are one more axis, so that any width is
// handled by the loops for single bytes, and neighbouring items become one run.
void CopyBytes(int64_t width, std::span<const int64_t> shape, int64_t n, const Side& from,
               const Side& to, int64_t from_step, const RunOptions& options) {
  if (width == 0) return;
  int64_t wide[kMaxAxes], from_strides[kMaxAxes], to_strides[kMaxAxes];
  std::copy(shape.begin(), shape.end(), wide);
  std::copy(from.strides.begin(), from.strides.end(), from_strides);
  std::copy(to.strides.begin(), to.strides.end(), to_strides);
  const size_t axes = shape.size() + 1;
  wide[axes - 1] = width;
  from_strides[axes - 1] = from_step;
  to_strides[axes - 1] = 1;
  // The items keep the order of the output; their bytes come innermost.
  AxisOrder order = OrderByStrides(shape, to.strides);
  order.axis[order.count] = static_cast<int>(axes) - 1;
  order.flipped[order.count++] = false;
  CopyRun run;
  MakeWalk(from.data, {wide, axes}, {from_strides, axes}, order, &run.load.walk);
  MakeWalk(to.data, {wide, axes}, {to_strides, axes}, order, &run.store.walk);
  run.load.MakeOpaque(1);
  run.store.MakeOpaque(1);
  Run(&run, n * width, options);
}

Status CopyDisjoint(const View& from, const View& to, const RunOptions& options, CastHow how);

Status CopyFields(const View& from, const View& to, const RunOptions& options, CastHow how) {
  for (const base::Field& field : to.dtype().fields()) {
    SPANFLOW_ASSIGN(const View part, FieldView(from, field.name));
    SPANFLOW_ASSIGN(const View target, FieldView(to, field.name));
    SPANFLOW_TRY(CopyDisjoint(part, target, options, how));
  }
  return Status::Ok();
}

// `from` broadcasts to `to`, the dtypes convert, and no byte of one is a byte of the other unless
// both are the same elements.
Status CopyDisjoint(const View& from, const View& to, const RunOptions& options, CastHow how) {
  const DType &source = from.dtype(), &target = to.dtype();
  const bool equal = source == target;
  if (target.kind() == Kind::kRecord && !equal) {
    SPANFLOW_ASSIGN(const base::Layout layout, BroadcastTo(from.layout, to.layout.shape));
    return CopyFields(from.With(layout), to, options, how);
  }
  base::Dims strides;
  BroadcastStrides(from.layout, to.layout.shape, &strides);
  const std::span<const int64_t> shape = Spanned(to.layout.shape);
  const Side in{from.data, Spanned(strides)}, out{to.data, Spanned(to.layout.strides)};
  const int64_t n = to.size();
  if (n == 0) return Status::Ok();
  if (target.numeric()) {
    CopyNumbers(source, target, shape, n, in, out, options, how);
    return Status::Ok();
  }
  const int64_t width = std::min(source.itemsize(), target.itemsize());
  CopyBytes(width, shape, n, in, out, 1, options);
  if (width < target.itemsize()) {  // bytes that are padded
    std::byte zero{0};
    const base::Dims still(to.ndim(), 0);
    CopyBytes(target.itemsize() - width, shape, n, {&zero, Spanned(still)},
              {to.data + width, out.strides}, 0, options);
  }
  return Status::Ok();
}

// An assignment may drop leading axes of size 1, as in NumPy.
View DropLeadingOnes(const View& from, int ndim) {
  int first = 0;
  while (from.ndim() - first > ndim && from.layout.shape[first] == 1) ++first;
  base::Layout layout{from.dtype(), {}, {}};
  for (int i = first; i < from.ndim(); ++i) {
    layout.shape.push_back(from.layout.shape[i]);
    layout.strides.push_back(from.layout.strides[i]);
  }
  return from.With(std::move(layout));
}

Status CheckConvertibleFields(const DType& from, const DType& to) {
  for (const base::Field& field : to.fields()) {
    const base::Field* source = from.FindField(field.name);
    if (source == nullptr || source->shape != field.shape) {
      return Status::Type("cannot convert " + from.ToString() + " to " + to.ToString() +
                          ": both must have the same fields; copy field by field instead");
    }
    SPANFLOW_TRY(CheckConvertible(source->dtype, field.dtype));
  }
  return Status::Ok();
}

}  // namespace

Status CheckConvertible(const DType& from, const DType& to) {
  if (from.numeric() && to.numeric()) return Status::Ok();
  if (from.kind() == to.kind()) {
    if (to.kind() == Kind::kBytes || from == to) return Status::Ok();
    if (from.fields().size() == to.fields().size()) return CheckConvertibleFields(from, to);
  }
  return Status::Type("cannot convert " + from.ToString() + " to " + to.ToString() +
                      ": numbers convert to numbers, bytes to bytes, and records to records with "
                      "the same fields");
}

Status Copy(const View& from, const View& to, const RunOptions& options, CastHow how) {
  SPANFLOW_TRY(CheckConvertible(from.dtype(), to.dtype()));
  if (to.readonly) return Status::Value("assignment destination is read-only");
  if (from.ndim() > to.ndim() && from.layout.shape[0] == 1) {
    return Copy(DropLeadingOnes(from, to.ndim()), to, options, how);
  }
  base::Dims strides;
  if (!BroadcastStrides(from.layout, to.layout.shape, &strides)) {
    return Status::Value("could not broadcast input array from shape " +
                         base::ToString(from.layout.shape) + " into shape " +
                         base::ToString(to.layout.shape));
  }
  RunScope scope;
  SPANFLOW_TRY(scope.Add(from));
  SPANFLOW_TRY(scope.Add(to));
  const Overlap overlap =
      FindOverlap(Spanned(to.layout.shape), {from.data, Spanned(strides), from.dtype().itemsize()},
                  {to.data, Spanned(to.layout.strides), to.dtype().itemsize()});
  const bool equal = from.dtype() == to.dtype();
  if (overlap == Overlap::kSame && equal) return scope.Finish();  // onto itself
  const bool in_place = overlap == Overlap::kSame && to.dtype().numeric();
  if (overlap == Overlap::kNone || in_place) {
    SPANFLOW_TRY(CopyDisjoint(from, to, options, how));
  } else {
    SPANFLOW_ASSIGN(const View apart, CopyToNew(from, from.dtype(), false, options));
    SPANFLOW_TRY(CopyDisjoint(apart, to, options, how));
  }
  return scope.Finish();
}

Status Fill(const View& to, const View& item, const RunOptions& options) {
  if (item.size() != 1) {
    return Status::Value("fill needs one element, an array of shape " +
                         base::ToString(item.layout.shape) + " was given");
  }
  return Copy(View{item.block, item.data, {item.dtype(), {}, {}}, true}, to, options);
}

base::Result<View> CopyToNew(const View& from, const DType& dtype, bool fortran,
                             const RunOptions& options, CastHow how) {
  SPANFLOW_TRY(CheckConvertible(from.dtype(), dtype));
  SPANFLOW_ASSIGN(View result, Empty(dtype, from.layout.shape, false, fortran));
  SPANFLOW_TRY(Copy(from, result, options, how));
  return result;
}

}  // namespace spanflow::array
