#include "base/layout.h"

#include "base/arith.h"

namespace spanflow::base {
namespace {

// Shared by both contiguity checks: walks the dimensions from the fastest one outwards.
bool ContiguousAlong(const Layout& layout, bool c_order) {
  int64_t expected = layout.dtype.itemsize();
  bool contiguous = true;
  for (int i = 0; i < layout.ndim(); ++i) {
    const int axis = c_order ? layout.ndim() - 1 - i : i;
    const int64_t extent = layout.shape[axis];
    if (extent == 0) return true;
    if (extent == 1) continue;
    if (layout.strides[axis] != expected) contiguous = false;
    expected *= extent;
  }
  return contiguous;
}

}  // namespace

std::string ToString(const Dims& shape) {
  std::string text = "(";
  for (int i = 0; i < shape.size(); ++i) {
    if (i != 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  if (shape.size() == 1) text += ',';
  return text + ')';
}

int64_t Layout::size() const {
  int64_t size = 1;
  for (int64_t extent : shape) size *= extent;
  return size;
}

bool Layout::c_contiguous() const { return ContiguousAlong(*this, true); }
bool Layout::f_contiguous() const { return ContiguousAlong(*this, false); }

Result<int64_t> CheckedBytes(const Dims& shape, int64_t itemsize) {
  int64_t bytes = std::max<int64_t>(itemsize, 1);
  bool fits = true, empty = itemsize == 0;
  for (int64_t extent : shape) {
    if (extent < 0) {
      return Status::Value("negative dimensions are not allowed: shape " + ToString(shape));
    }
    if (extent == 0)
      empty = true;
    else
      fits = fits && CheckedMul(bytes, extent, &bytes);
  }
  // An empty array must be small along its other dimensions too, so that neither its strides nor
  // its number of elements can overflow.
  if (!fits) {
    return Status::Value("shape " + ToString(shape) + " with items of " + std::to_string(itemsize) +
                         " bytes is too large: the size does not fit into 63 bits");
  }
  return empty ? 0 : bytes;
}

Dims ContiguousStrides(const Dims& shape, int64_t itemsize) {
  Dims strides(shape.size(), itemsize);
  for (int i = shape.size() - 2; i >= 0; --i) {
    strides[i] = strides[i + 1] * std::max<int64_t>(shape[i + 1], 1);
  }
  return strides;
}

Dims FortranStrides(const Dims& shape, int64_t itemsize) {
  Dims strides(shape.size(), itemsize);
  for (int i = 1; i < shape.size(); ++i) {
    strides[i] = strides[i - 1] * std::max<int64_t>(shape[i - 1], 1);
  }
  return strides;
}

Result<Layout> Layout::Contiguous(DType dtype, const Dims& shape) {
  SPANFLOW_TRY(CheckedBytes(shape, dtype.itemsize()).TakeStatus());
  Dims strides = ContiguousStrides(shape, dtype.itemsize());
  return Layout{std::move(dtype), shape, strides};
}

Result<Layout> Layout::FortranContiguous(DType dtype, const Dims& shape) {
  SPANFLOW_TRY(CheckedBytes(shape, dtype.itemsize()).TakeStatus());
  Dims strides = FortranStrides(shape, dtype.itemsize());
  return Layout{std::move(dtype), shape, strides};
}

Result<Extent> ExtentOf(const Layout& layout) {
  if (std::ranges::find(layout.shape, 0) != layout.shape.end()) return Extent{0, 0};
  Extent extent{0, layout.dtype.itemsize()};
  for (int i = 0; i < layout.ndim(); ++i) {
    int64_t span;
    int64_t& end = layout.strides[i] < 0 ? extent.low : extent.high;
    if (!CheckedMul(layout.shape[i] - 1, layout.strides[i], &span) ||
        !CheckedAdd(end, span, &end)) {
      return Status::Value("shape " + ToString(layout.shape) + " with strides " +
                           ToString(layout.strides) + " reaches further than 63 bits");
    }
  }
  return extent;
}

Result<Dims> BroadcastShapes(std::span<const Dims* const> shapes) {
  int ndim = 0;
  for (const Dims* shape : shapes) ndim = std::max(ndim, shape->size());
  Dims result(ndim, 1);
  for (const Dims* shape : shapes) {
    for (int i = 0; i < shape->size(); ++i) {
      int64_t& extent = result[ndim - shape->size() + i];
      const int64_t other = (*shape)[i];
      if (other == 1 || other == extent) continue;
      if (extent != 1) {
        std::string text = "operands could not be broadcast together with shapes";
        for (const Dims* s : shapes) text += " " + ToString(*s);
        return Status::Value(text);
      }
      extent = other;
    }
  }
  return result;
}

Result<Layout> BroadcastTo(const Layout& from, const Dims& shape) {
  const int extra = shape.size() - from.ndim();
  Layout result{from.dtype, shape, Dims(shape.size(), 0)};
  bool fits = extra >= 0;
  for (int i = 0; fits && i < from.ndim(); ++i) {
    const int to = extra + i;
    if (from.shape[i] == shape[to])
      result.strides[to] = from.strides[i];
    else if (from.shape[i] != 1)
      fits = false;
  }
  if (!fits) {
    return Status::Value("shape " + ToString(from.shape) + " cannot be broadcast to shape " +
                         ToString(shape));
  }
  return result;
}

Result<Dims> ResolveShape(const Dims& shape, int64_t size) {
  Dims resolved = shape;
  int unknown = -1;
  int64_t known = 1;
  bool fits = true;
  for (int i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1 && unknown < 0) {
      unknown = i;
    } else if (shape[i] < 0) {
      return Status::Value("shape " + ToString(shape) +
                           " is not allowed: at most one dimension may be -1, others not negative");
    } else {
      fits = fits && CheckedMul(known, shape[i], &known);
    }
  }
  if (unknown >= 0 && fits && known > 0) resolved[unknown] = size / known;
  const bool same = fits && (unknown < 0 ? known == size : known > 0 && size % known == 0);
  if (!same) {
    return Status::Value("cannot reshape array of size " + std::to_string(size) + " into shape " +
                         ToString(shape));
  }
  return resolved;
}

// Groups of old axes that are contiguous among themselves are matched to groups of new axes with
// the same product; the new strides are laid out inside each group.
Result<Layout> Reshape(const Layout& from, const Dims& wanted) {
  SPANFLOW_ASSIGN(const Dims shape, ResolveShape(wanted, from.size()));
  const int64_t itemsize = from.dtype.itemsize();
  Layout result{from.dtype, shape, ContiguousStrides(shape, itemsize)};
  if (from.size() == 0 || from.c_contiguous()) return result;
  Dims old_shape, old_strides;  // without the dimensions of size 1, which hold nothing together
  for (int i = 0; i < from.ndim(); ++i) {
    if (from.shape[i] == 1) continue;
    old_shape.push_back(from.shape[i]);
    old_strides.push_back(from.strides[i]);
  }
  int o = 0, n = 0;
  while (o < old_shape.size() && n < shape.size()) {
    int o_end = o + 1, n_end = n + 1;
    int64_t old_count = old_shape[o], new_count = shape[n];
    while (old_count != new_count) {
      if (old_count < new_count)
        old_count *= old_shape[o_end++];
      else
        new_count *= shape[n_end++];
    }
    for (int k = o; k + 1 < o_end; ++k) {
      if (old_strides[k] != old_shape[k + 1] * old_strides[k + 1]) {
        return Status::Buffer("a reshape of this layout needs a copy");
      }
    }
    result.strides[n_end - 1] = old_strides[o_end - 1];
    for (int k = n_end - 1; k > n; --k) result.strides[k - 1] = result.strides[k] * shape[k];
    o = o_end;
    n = n_end;
  }
  for (; n < shape.size(); ++n) result.strides[n] = itemsize;  // trailing ones
  return result;
}

Layout Transpose(const Layout& from, const Dims& axes) {
  Layout result{from.dtype, from.shape, from.strides};
  for (int i = 0; i < axes.size(); ++i) {
    result.shape[i] = from.shape[static_cast<int>(axes[i])];
    result.strides[i] = from.strides[static_cast<int>(axes[i])];
  }
  return result;
}

Result<int> NormalizeAxis(int64_t axis, int ndim) {
  const int64_t normal = axis < 0 ? axis + ndim : axis;
  if (normal < 0 || normal >= ndim) {
    return Status::Value("axis " + std::to_string(axis) +
                         " is out of bounds for array of dimension " + std::to_string(ndim));
  }
  return static_cast<int>(normal);
}

}  // namespace spanflow::base
