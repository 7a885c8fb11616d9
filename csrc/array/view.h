// View: a Layout over the bytes of a Block. What every operation takes and gives.
//
// Owns: one reference to its Block. Threads: thread-compatible value. Attached: not needed.
// Fails: never by itself; the block may be closed at any time, so running code borrows it first.
#pragma once

#include <cstddef>
#include <utility>

#include "base/layout.h"
#include "memory/block.h"

namespace spanflow::array {

struct View {
  memory::BlockRef block;
  std::byte* data = nullptr;  // element [0, …, 0]; not null, also for empty views
  base::Layout layout;
  bool readonly = false;

  const base::DType& dtype() const { return layout.dtype; }
  int ndim() const { return layout.ndim(); }
  int64_t size() const { return layout.size(); }
  // The same block seen through another layout, `offset` bytes further.
  View With(base::Layout other, int64_t offset = 0) const {
    return View{block, data + offset, std::move(other), readonly};
  }
};

}  // namespace spanflow::array
