#include "array/items.h"

namespace spanflow::array {

void MakeOrderedWalk(const View& view, int first, int last, Walk* walk) {
  AxisOrder order;
  for (int i = first; i < last; ++i) {
    if (view.layout.shape[i] == 1) continue;
    order.axis[order.count] = i;
    order.flipped[order.count++] = false;
  }
  const auto ndim = static_cast<size_t>(view.ndim());
  MakeWalk(view.data, {view.layout.shape.data(), ndim}, {view.layout.strides.data(), ndim}, order,
           walk);
}

ItemShape::ItemShape(const View& view, int first)
    : origin_(view.data), itemsize_(view.dtype().itemsize()), elements_(1) {
  for (int i = first; i < view.ndim(); ++i) elements_ *= view.layout.shape[i];
  bytes_ = elements_ * itemsize_;
  MakeOrderedWalk(view, first, view.ndim(), &walk_);
  dense_ = elements_ == 1 || (walk_.single_run() && walk_.step() == itemsize_);
}

void ItemShape::ReadGaps(const std::byte* place, std::byte* out) const {
  Cursor cursor;
  cursor.Start(&walk_, 0, place - origin_);
  GatherFrom(&cursor, itemsize_, out, elements_);
}

void ItemShape::WriteGaps(const std::byte* in, std::byte* place) const {
  Cursor cursor;
  cursor.Start(&walk_, 0, place - origin_);
  ScatterTo(&cursor, itemsize_, in, elements_);
}

}  // namespace spanflow::array
