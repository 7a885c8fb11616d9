// The right side of an assignment to a selection: its values, converted and contiguous.
//
// Owns: Source holds the converted values. Threads: thread-compatible. Attached: not needed.
// Fails: ValueError when the values do not broadcast to the selection or the target is read-only,
// TypeError when the dtypes do not convert.
#pragma once

#include <cstdint>

#include "array/run.h"
#include "array/view.h"
#include "base/layout.h"
#include "base/status.h"

namespace spanflow::array {

struct Source {
  View values;
  int64_t step;  // bytes from item to item; 0 when there is one for all places
};

// For `view`, of which a selection has the given shape: its first `lead` axes number the places,
// the others are the item. The values are read before anything is written, so they may overlap.
base::Result<Source> MakeSource(const View& view, const View& values, const base::Dims& shape,
                                int lead, const RunOptions& options);

base::Status CheckWritable(const View& view);

}  // namespace spanflow::array
