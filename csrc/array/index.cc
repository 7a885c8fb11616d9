#include "array/index.h"

#include <string>
#include <utility>

namespace spanflow::array {
namespace {

using base::Layout;
using base::Result;
using base::Status;
using ItemKind = IndexItem::Kind;

bool TakesAxis(const IndexItem& item) {
  return item.kind == ItemKind::kInteger || item.kind == ItemKind::kSlice;
}

// What the items ask for, before any axis is looked at.
struct Demand {
  int axes = 0;  // taken by integers and slices
  int new_axes = 0;
  int ellipses = 0;
};

Demand CountItems(std::span<const IndexItem> items) {
  Demand demand;
  for (const IndexItem& item : items) {
    demand.axes += TakesAxis(item);
    demand.new_axes += item.kind == ItemKind::kNewAxis;
    demand.ellipses += item.kind == ItemKind::kEllipsis;
  }
  return demand;
}

Status CheckDemand(const Demand& demand, int ndim) {
  if (demand.ellipses > 1) {
    return Status::Index("an index can only have a single ellipsis ('...')");
  }
  if (demand.axes > ndim) {
    return Status::Index("too many indices for array: array is " + std::to_string(ndim) +
                         "-dimensional, but " + std::to_string(demand.axes) + " were indexed");
  }
  return Status::Ok();
}

// A layout under construction.
struct Walker {
  const View& from;
  Layout layout;
  int64_t offset = 0;
  int axis = 0;  // of `from`, the next one to be taken

  void Keep() {
    Push(from.layout.shape[axis], from.layout.strides[axis]);
    ++axis;
  }
  void Push(int64_t extent, int64_t stride) {
    layout.shape.push_back(extent);
    layout.strides.push_back(stride);
  }

  Status TakeInteger(int64_t index) {
    const int64_t extent = from.layout.shape[axis];
    if (index < -extent || index >= extent) {
      return Status::Index("index " + std::to_string(index) + " is out of bounds for axis " +
                           std::to_string(axis) + " with size " + std::to_string(extent));
    }
    offset += (index < 0 ? index + extent : index) * from.layout.strides[axis];
    ++axis;
    return Status::Ok();
  }

  Status TakeSlice(const IndexItem& slice) {
    const int64_t extent = from.layout.shape[axis], stride = from.layout.strides[axis];
    if (slice.count > 0) {
      // Divided instead of multiplied: a huge step must not overflow.
      const int64_t room = slice.step > 0 ? extent - 1 - slice.start : -slice.start;
      const bool inside = slice.start >= 0 && slice.start < extent && slice.step != 0 &&
                          (slice.count == 1 || slice.count - 1 <= room / slice.step);
      if (!inside) {
        return Status::Index("slice of " + std::to_string(slice.count) + " items from " +
                             std::to_string(slice.start) + " in steps of " +
                             std::to_string(slice.step) + " leaves axis " + std::to_string(axis) +
                             " with size " + std::to_string(extent));
      }
      offset += slice.start * stride;
    }
    // The step of at most one item is never walked, and may be too large to multiply.
    const int64_t step = slice.count > 1 ? slice.step : 1;
    Push(slice.count, step * stride);
    ++axis;
    return Status::Ok();
  }
};

Status TakeItem(const IndexItem& item, int skipped, Walker* walker) {
  switch (item.kind) {
    case ItemKind::kInteger:
      return walker->TakeInteger(item.start);
    case ItemKind::kSlice:
      return walker->TakeSlice(item);
    case ItemKind::kNewAxis:
      walker->Push(1, 0);
      break;
    case ItemKind::kEllipsis:
      for (int i = 0; i < skipped; ++i) walker->Keep();
      break;
    case ItemKind::kField:
      break;  // taken before
  }
  return Status::Ok();
}

Result<View> IndexAxes(const View& view, std::span<const IndexItem> items) {
  const Demand demand = CountItems(items);
  SPANFLOW_TRY(CheckDemand(demand, view.ndim()));
  int kept = view.ndim() + demand.new_axes;
  for (const IndexItem& item : items) kept -= item.kind == ItemKind::kInteger;
  if (kept > base::kMaxDims) {
    return Status::Index("an array has at most " + std::to_string(base::kMaxDims) +
                         " dimensions, indexing result would have " + std::to_string(kept));
  }
  Walker walker{view, {view.dtype(), {}, {}}};
  for (const IndexItem& item : items) {
    SPANFLOW_TRY(TakeItem(item, view.ndim() - demand.axes, &walker));
  }
  while (walker.axis < view.ndim()) walker.Keep();
  // An empty view reads nothing, so its address may as well stay inside the block.
  const int64_t offset = walker.layout.size() == 0 ? 0 : walker.offset;
  return view.With(std::move(walker.layout), offset);
}

}  // namespace

Result<View> Index(const View& view, std::span<const IndexItem> items) {
  for (const IndexItem& item : items) {
    if (item.kind != ItemKind::kField) continue;
    SPANFLOW_ASSIGN(const View field, FieldView(view, item.name));
    // A second field name applies to the first one's dtype: a["point"]["x"].
    IndexItem rest[2 * base::kMaxDims + 2];
    size_t count = 0;
    bool skipped = false;
    for (const IndexItem& other : items) {
      if (!skipped && &other == &item) {
        skipped = true;
        continue;
      }
      if (count == std::size(rest)) return Status::Index("too many indices for array");
      rest[count++] = other;
    }
    return Index(field, {rest, count});
  }
  return IndexAxes(view, items);
}

int AxisOf(std::span<const IndexItem> items, size_t position, int ndim) {
  int axis = 0;
  for (size_t i = 0; i < position; ++i) {
    if (TakesAxis(items[i])) ++axis;
    if (items[i].kind == ItemKind::kEllipsis) axis += ndim - CountItems(items).axes;
  }
  return axis;
}

Result<View> FieldView(const View& view, std::string_view name) {
  const base::Field* field = view.dtype().FindField(name);
  if (field == nullptr) {
    std::string text = "no field of name '" + std::string(name) + "': ";
    const auto& fields = view.dtype().fields();
    if (fields.empty()) return Status::Value(text + "the array is not a record array");
    text += "the fields are";
    for (const base::Field& f : fields) text += " '" + f.name + "'";
    return Status::Value(text);
  }
  const int extra = static_cast<int>(field->shape.size());
  if (view.ndim() + extra > base::kMaxDims) {
    return Status::Value("field '" + field->name + "' has " + std::to_string(extra) +
                         " dimensions of its own: more than " + std::to_string(base::kMaxDims) +
                         " in all");
  }
  Layout layout{field->dtype, view.layout.shape, view.layout.strides};
  int64_t stride = field->nbytes();
  for (int64_t extent : field->shape) {
    stride = extent == 0 ? field->dtype.itemsize() : stride / extent;
    layout.shape.push_back(extent);
    layout.strides.push_back(stride);
  }
  SPANFLOW_TRY(base::CheckedBytes(layout.shape, layout.dtype.itemsize()).TakeStatus());
  // The block of an empty array may hold no bytes that the offset could point past.
  const int64_t offset = layout.size() == 0 ? 0 : field->offset;
  return view.With(std::move(layout), offset);
}

}  // namespace spanflow::array
