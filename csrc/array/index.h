// Basic indexing: integers, slices, new axes, an ellipsis and field names give views.
//
// Owns: results share the block. Threads: thread-safe. Attached: not needed; no memory is read.
// Fails: IndexError in NumPy's words, ValueError for a field that does not exist.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "array/view.h"
#include "base/status.h"

namespace spanflow::array {

struct IndexItem {
  enum class Kind : uint8_t { kInteger, kSlice, kNewAxis, kEllipsis, kField };

  Kind kind = Kind::kSlice;
  int64_t start = 0;  // kInteger: the index, negative from the end; kSlice: the first index taken
  int64_t step = 1;   // kSlice: not zero
  int64_t count = 0;  // kSlice: how many are taken, already cut to the axis (slice.indices)
  std::string_view name = {};  // kField

  static IndexItem Integer(int64_t index) { return {Kind::kInteger, index}; }
  static IndexItem Slice(int64_t start, int64_t step, int64_t count) {
    return {Kind::kSlice, start, step, count};
  }
  static IndexItem NewAxis() { return {Kind::kNewAxis}; }
  static IndexItem Ellipsis() { return {Kind::kEllipsis}; }
  static IndexItem Field(std::string_view name) { return {Kind::kField, 0, 1, 0, name}; }
};

// view[items]. Axes that no item names are taken whole. A kSlice applies to the axis at its
// place, whose size the caller gets from AxisOf when it normalises a Python slice.
base::Result<View> Index(const View& view, std::span<const IndexItem> items);

// Which axis of an array of `ndim` dimensions the item at `position` applies to. Only meaningful
// when the items fit (Index says so if not).
int AxisOf(std::span<const IndexItem> items, size_t position, int ndim);

// A field of a record array as a strided view; a sub-array field adds its axes at the end.
base::Result<View> FieldView(const View& view, std::string_view name);

}  // namespace spanflow::array
