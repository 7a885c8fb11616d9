#include "array/iterate.h"

#include <cstdlib>

namespace spanflow::array {

AxisOrder OrderByStrides(std::span<const int64_t> shape, std::span<const int64_t> strides) {
  AxisOrder order;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    // An insertion sort: stable, and quick for the usual case, in which nothing moves.
    int place = order.count++;
    while (place > 0 && std::llabs(strides[static_cast<size_t>(order.axis[place - 1])]) <
                            std::llabs(strides[i])) {
      order.axis[place] = order.axis[place - 1];
      order.flipped[place] = order.flipped[place - 1];
      --place;
    }
    order.axis[place] = static_cast<int>(i);
    order.flipped[place] = strides[i] < 0;
  }
  return order;
}

AxisOrder OrderByAxes(std::span<const int64_t> shape) {
  AxisOrder order;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    order.axis[order.count] = static_cast<int>(i);
    order.flipped[order.count++] = false;
  }
  return order;
}

void MakeWalk(std::byte* data, std::span<const int64_t> shape, std::span<const int64_t> strides,
              const AxisOrder& order, Walk* walk) {
  auto first = reinterpret_cast<uintptr_t>(data);
  int count = 0;
  for (int i = 0; i < order.count; ++i) {
    const auto axis = static_cast<size_t>(order.axis[i]);
    const int64_t extent = shape[axis];
    int64_t stride = strides[axis];
    if (order.flipped[i]) {
      first += static_cast<uintptr_t>((extent - 1) * stride);
      stride = -stride;
    }
    if (count > 0 && walk->strides[count - 1] == extent * stride) {
      walk->shape[count - 1] *= extent;
      walk->strides[count - 1] = stride;
    } else {
      walk->shape[count] = extent;
      walk->strides[count] = stride;
      ++count;
    }
  }
  if (count == 0) {
    walk->shape[0] = 1;
    walk->strides[0] = 0;
    count = 1;
  }
  walk->count = count;
  walk->first = first;
}

bool BroadcastStrides(const base::Layout& layout, const base::Dims& shape, base::Dims* strides) {
  const int extra = shape.size() - layout.ndim();
  if (extra < 0) return false;
  strides->resize(shape.size());
  for (int i = 0; i < extra; ++i) (*strides)[i] = 0;
  for (int i = 0; i < layout.ndim(); ++i) {
    const bool same = layout.shape[i] == shape[extra + i];
    if (!same && layout.shape[i] != 1) return false;
    (*strides)[extra + i] = same ? layout.strides[i] : 0;
  }
  return true;
}

void Cursor::Start(const Walk* walk, int64_t element, ptrdiff_t offset) {
  walk_ = walk;
  row_ = reinterpret_cast<std::byte*>(walk->first + static_cast<uintptr_t>(offset));
  at_ = element;
  if (walk->count == 1) return;
  at_ = element % walk->run();
  int64_t rest = element / walk->run();
  for (int i = walk->count - 2; i >= 0; --i) {
    index_[i] = rest % walk->shape[i];
    rest /= walk->shape[i];
    row_ += index_[i] * walk->strides[i];
  }
}

int64_t Cursor::runs_left() const {
  const int axis = walk_->count - 2;
  return axis < 0 ? 1 : walk_->shape[axis] - index_[axis];
}

void Cursor::NextRuns(int64_t runs) {
  at_ = 0;
  int axis = walk_->count - 2;
  row_ += runs * walk_->strides[axis];
  index_[axis] += runs;
  while (index_[axis] == walk_->shape[axis]) {
    row_ -= walk_->shape[axis] * walk_->strides[axis];
    index_[axis] = 0;
    if (--axis < 0) return;  // past the last element; the cursor is not read again
    row_ += walk_->strides[axis];
    ++index_[axis];
  }
}

}  // namespace spanflow::array
