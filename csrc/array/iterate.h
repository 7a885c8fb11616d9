// Walks: the pure arithmetic of visiting every element of a strided operand in a chosen order.
//
// All operands of a run visit the same index space in the same order, given by the strides of one
// of them (the leader: an output, or the operand of a reduction). Each operand then merges its own
// neighbouring axes, so that one which is contiguous in that order is a single long run, whatever
// the others look like.
//
// Owns: nothing; a Cursor points at its Walk. Threads: thread-compatible; a Walk is immutable once
// made and may be shared. Attached: not needed. Fails: never; there must be at least one element.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/layout.h"

namespace spanflow::array {

// One more than an array has: the bytes of an item can be an axis of their own.
inline constexpr int kMaxAxes = base::kMaxDims + 1;

// The axes of more than one element, outermost first, and which of them run backwards.
struct AxisOrder {
  int count = 0;
  int axis[kMaxAxes];
  bool flipped[kMaxAxes];
};

inline std::span<const int64_t> Spanned(const base::Dims& dims) {
  return {dims.data(), static_cast<size_t>(dims.size())};
}

// The order in which `strides` fall: the smallest step is innermost, and no step is negative.
AxisOrder OrderByStrides(std::span<const int64_t> shape, std::span<const int64_t> strides);

// C order, whatever the strides.
AxisOrder OrderByAxes(std::span<const int64_t> shape);

// One operand in a given order, its axes merged where they continue each other.
struct Walk {
  uintptr_t first;  // the address of the first element visited; from 0 on where Start says the rest
  int count;        // axes, at least 1; the last one is the run
  int64_t shape[kMaxAxes];
  int64_t strides[kMaxAxes];

  std::byte* data() const { return reinterpret_cast<std::byte*>(first); }
  int64_t run() const { return shape[count - 1]; }
  int64_t step() const { return strides[count - 1]; }
  bool single_run() const { return count == 1; }
  bool constant() const { return count == 1 && strides[0] == 0; }  // one element for all
};

void MakeWalk(std::byte* data, std::span<const int64_t> shape, std::span<const int64_t> strides,
              const AxisOrder& order, Walk* walk);

// Strides of `layout` seen with a shape that it broadcasts to; false when it does not.
bool BroadcastStrides(const base::Layout& layout, const base::Dims& shape, base::Dims* strides);

// A place in a walk.
class Cursor {
 public:
  // At the first element of `walk`, every address moved by `offset` bytes.
  void Start(const Walk* walk, int64_t element, ptrdiff_t offset = 0);

  std::byte* pointer() const { return row_ + at_ * walk_->step(); }
  int64_t at() const { return at_; }                   // in the run
  int64_t left() const { return walk_->run() - at_; }  // elements to the end of the run, >= 1
  const Walk& walk() const { return *walk_; }

  // Whole runs that lie one regular step apart, beginning with the current one.
  int64_t runs_left() const;
  int64_t run_step() const { return walk_->count > 1 ? walk_->strides[walk_->count - 2] : 0; }

  void Advance(int64_t elements) {  // at most to the end of the run
    at_ += elements;
    if (at_ == walk_->run() && walk_->count > 1) NextRuns(1);
  }
  void NextRuns(int64_t runs);  // from the start of a run, at most runs_left()

 private:
  const Walk* walk_ = nullptr;
  std::byte* row_ = nullptr;  // the first element of the run
  int64_t at_ = 0;
  int64_t index_[kMaxAxes];  // of the run; the last one is not used
};

}  // namespace spanflow::array
