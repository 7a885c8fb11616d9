#include "array/overlap.h"

#include <numeric>

namespace spanflow::array {
namespace {

struct Range {
  intptr_t low;
  intptr_t high;
};

Range RangeOf(std::span<const int64_t> shape, const Footprint& operand) {
  const auto first = reinterpret_cast<intptr_t>(operand.data);
  Range range{first, first + operand.itemsize};
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0) return {first, first};
    const int64_t span = (shape[i] - 1) * operand.strides[i];
    (span < 0 ? range.low : range.high) += span;
  }
  return range;
}

int64_t StrideGcd(std::span<const int64_t> shape, const Footprint& operand, int64_t gcd) {
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] > 1) gcd = std::gcd(gcd, operand.strides[i]);
  }
  return gcd;
}

// Columns of one record array, or the even and the odd elements: every address of either operand
// is the same modulo a common divisor of all strides, and the items do not meet within it.
bool Interleaved(const Footprint& a, const Footprint& b, int64_t divisor) {
  if (divisor == 0) return false;
  int64_t distance =
      (reinterpret_cast<intptr_t>(b.data) - reinterpret_cast<intptr_t>(a.data)) % divisor;
  if (distance < 0) distance += divisor;
  return distance >= a.itemsize && distance + b.itemsize <= divisor;
}

Footprint FootprintOf(const View& view) {
  return {view.data,
          {view.layout.strides.data(), static_cast<size_t>(view.ndim())},
          view.dtype().itemsize()};
}

std::span<const int64_t> ShapeOf(const View& view) {
  return {view.layout.shape.data(), static_cast<size_t>(view.ndim())};
}

}  // namespace

Overlap FindOverlap(std::span<const int64_t> shape, const Footprint& a, const Footprint& b) {
  const Range ra = RangeOf(shape, a), rb = RangeOf(shape, b);
  if (ra.high <= rb.low || rb.high <= ra.low) return Overlap::kNone;
  if (a.data == b.data && a.itemsize == b.itemsize) {
    bool same = true;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] > 1 && a.strides[i] != b.strides[i]) same = false;
    }
    if (same) return Overlap::kSame;
  }
  const int64_t divisor = StrideGcd(shape, b, StrideGcd(shape, a, 0));
  return Interleaved(a, b, divisor) ? Overlap::kNone : Overlap::kPartial;
}

bool MayShareMemory(const View& a, const View& b) {
  const Footprint fa = FootprintOf(a), fb = FootprintOf(b);
  const Range ra = RangeOf(ShapeOf(a), fa), rb = RangeOf(ShapeOf(b), fb);
  if (ra.high <= rb.low || rb.high <= ra.low) return false;
  const int64_t divisor = StrideGcd(ShapeOf(b), fb, StrideGcd(ShapeOf(a), fa, 0));
  return !Interleaved(fa, fb, divisor);
}

}  // namespace spanflow::array
