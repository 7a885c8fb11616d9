#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "array/assign.h"
#include "array/create.h"
#include "array/items.h"
#include "array/loader.h"
#include "array/select.h"
#include "array/split.h"

namespace spanflow::array {
namespace {

using base::Dims;
using base::Kind;
using base::Layout;
using base::Result;
using base::Status;

// Indices of any integer arrays as byte offsets from the first element of the indexed axes.
struct Offsets {
  Dims shape;
  std::vector<int64_t> bytes;
};

Status OutOfBounds(const std::string& index, int axis, int64_t extent) {
  return Status::Index("index " + index + " is out of bounds for axis " + std::to_string(axis) +
                       " with size " + std::to_string(extent));
}

Status CheckIndices(const View& view, std::span<const View> indices, int axis) {
  if (axis < 0 || indices.empty() || axis + static_cast<int>(indices.size()) > view.ndim()) {
    return Status::Index("too many indices for array: array is " + std::to_string(view.ndim()) +
                         "-dimensional, but " + std::to_string(indices.size()) +
                         " were indexed from axis " + std::to_string(axis));
  }
  for (const View& index : indices) {
    if (!base::IsInteger(index.dtype().kind())) {
      return Status::Index("arrays used as indices must be of integer (or boolean) type, not " +
                           index.dtype().ToString());
    }
  }
  return Status::Ok();
}

// Adds what one index array contributes; it is broadcast to the common shape.
Status AddOffsets(const View& view, const View& index, int axis, Offsets* offsets) {
  const int64_t extent = view.layout.shape[axis], stride = view.layout.strides[axis];
  SPANFLOW_ASSIGN(const Layout layout, BroadcastTo(index.layout, offsets->shape));
  const View wide = index.With(layout);
  LoadPlan plan;
  MakeOrderedWalk(wide, 0, wide.ndim(), &plan.walk);
  plan.Make(index.dtype(), Kind::kI64);
  const bool is_unsigned = index.dtype().kind() == Kind::kU64;
  Scratch scratch;
  Loader loader;
  loader.Start(&plan, &scratch, 0);
  const auto total = static_cast<int64_t>(offsets->bytes.size());
  int64_t* out = offsets->bytes.data();
  for (int64_t done = 0; done < total;) {
    const int64_t n = loader.Prefer(std::min(plan.capacity, total - done));
    const auto* values = static_cast<const std::byte*>(loader.Next(n));
    for (int64_t i = 0; i < n; ++i) {
      int64_t value;  // in place it may lie at any address
      std::memcpy(&value, values + i * 8, 8);
      if (is_unsigned && value < 0) {
        return OutOfBounds(std::to_string(static_cast<uint64_t>(value)), axis, extent);
      }
      if (value < -extent || value >= extent) {
        return OutOfBounds(std::to_string(value), axis, extent);
      }
      *out++ += (value < 0 ? value + extent : value) * stride;
    }
    done += n;
  }
  return Status::Ok();
}

Result<Offsets> MakeOffsets(const View& view, std::span<const View> indices, int axis) {
  SPANFLOW_TRY(CheckIndices(view, indices, axis));
  std::vector<const Dims*> shapes;
  for (const View& index : indices) shapes.push_back(&index.layout.shape);
  Result<Dims> shape = base::BroadcastShapes(shapes);
  if (!shape.ok()) {
    return Status::Index("shape mismatch: indexing arrays could not be broadcast together" +
                         shape.status().message().substr(shape.status().message().find(" with")));
  }
  Offsets offsets{*shape, {}};
  SPANFLOW_ASSIGN(const int64_t bytes, base::CheckedBytes(*shape, 8));
  offsets.bytes.assign(static_cast<size_t>(bytes / 8), 0);
  if (offsets.bytes.empty()) return offsets;
  for (size_t k = 0; k < indices.size(); ++k) {
    SPANFLOW_TRY(AddOffsets(view, indices[k], axis + static_cast<int>(k), &offsets));
  }
  return offsets;
}

Result<Dims> TakenShape(const View& view, const Dims& middle, int axis, int last) {
  Dims shape;
  if (axis + middle.size() + view.ndim() - last > base::kMaxDims) {
    return Status::Index("an array has at most " + std::to_string(base::kMaxDims) +
                         " dimensions, the selection would have more");
  }
  for (int i = 0; i < axis; ++i) shape.push_back(view.layout.shape[i]);
  for (int64_t extent : middle) shape.push_back(extent);
  for (int i = last; i < view.ndim(); ++i) shape.push_back(view.layout.shape[i]);
  return shape;
}

template <size_t kSize>
void GatherOffsets(const std::byte* base, const int64_t* offsets, int64_t n, std::byte* out) {
  for (int64_t i = 0; i < n; ++i, out += kSize) std::memcpy(out, base + offsets[i], kSize);
}

void TakeItems(const ItemShape& item, const std::byte* base, const int64_t* offsets, int64_t n,
               std::byte* out) {
  if (item.dense()) {
    switch (item.bytes()) {
      case 1:
        return GatherOffsets<1>(base, offsets, n, out);
      case 2:
        return GatherOffsets<2>(base, offsets, n, out);
      case 4:
        return GatherOffsets<4>(base, offsets, n, out);
      case 8:
        return GatherOffsets<8>(base, offsets, n, out);
      case 16:
        return GatherOffsets<16>(base, offsets, n, out);
      default:
        break;
    }
  }
  for (int64_t i = 0; i < n; ++i, out += item.bytes()) item.Read(base + offsets[i], out);
}

}  // namespace

Result<View> Take(const View& view, std::span<const View> indices, int axis,
                  const RunOptions& options) {
  RunScope scope;
  SPANFLOW_TRY(scope.Add(view));
  for (const View& index : indices) SPANFLOW_TRY(scope.Add(index));
  SPANFLOW_ASSIGN(const Offsets offsets, MakeOffsets(view, indices, axis));
  const int last = axis + static_cast<int>(indices.size());
  SPANFLOW_ASSIGN(const Dims shape, TakenShape(view, offsets.shape, axis, last));
  SPANFLOW_ASSIGN(View result, Empty(view.dtype(), shape));
  if (result.layout.nbytes() > 0) {
    const ItemShape item(view, last);
    Walk outer;
    MakeOrderedWalk(view, 0, axis, &outer);
    const auto places = static_cast<int64_t>(offsets.bytes.size());
    const int64_t total = result.layout.nbytes() / item.bytes();
    Split(total, 2 * item.bytes() + 8, options, [&](int64_t begin, int64_t end) {
      Cursor cursor;
      cursor.Start(&outer, begin / places);
      std::byte* out = result.data + begin * item.bytes();
      for (int64_t at = begin % places; begin < end; at = 0, cursor.Advance(1)) {
        const int64_t n = std::min(places - at, end - begin);
        TakeItems(item, cursor.pointer(), offsets.bytes.data() + at, n, out);
        out += n * item.bytes();
        begin += n;
      }
    });
  }
  SPANFLOW_TRY(scope.Finish());
  return result;
}

Status Put(const View& view, std::span<const View> indices, int axis, const View& values,
           const RunOptions& options) {
  SPANFLOW_TRY(CheckWritable(view));
  RunScope scope;
  SPANFLOW_TRY(scope.Add(view));
  SPANFLOW_TRY(scope.Add(values));
  for (const View& index : indices) SPANFLOW_TRY(scope.Add(index));
  SPANFLOW_ASSIGN(const Offsets offsets, MakeOffsets(view, indices, axis));
  const int last = axis + static_cast<int>(indices.size());
  SPANFLOW_ASSIGN(const Dims shape, TakenShape(view, offsets.shape, axis, last));
  const int lead = axis + offsets.shape.size();
  SPANFLOW_ASSIGN(const Source source, MakeSource(view, values, shape, lead, options));
  SPANFLOW_ASSIGN(const int64_t bytes, base::CheckedBytes(shape, view.dtype().itemsize()));
  if (bytes > 0) {
    const ItemShape item(view, last);
    Walk outer;
    MakeOrderedWalk(view, 0, axis, &outer);
    Cursor cursor;
    cursor.Start(&outer, 0);
    const int64_t items = bytes / item.bytes(), places = static_cast<int64_t>(offsets.bytes.size());
    const std::byte* in = source.values.data;
    for (int64_t o = 0; o < items / places; ++o, cursor.Advance(1)) {
      for (int64_t offset : offsets.bytes) {
        item.Write(in, cursor.pointer() + offset);
        in += source.step;
      }
    }
  }
  return scope.Finish();
}

}  // namespace spanflow::array
