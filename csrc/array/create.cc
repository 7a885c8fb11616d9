#include "array/create.h"

#include <utility>

#include "memory/heap.h"

namespace spanflow::array {

using base::Layout;
using base::Result;

Result<View> Empty(base::DType dtype, const base::Dims& shape, bool zeroed, bool fortran) {
  View view;
  SPANFLOW_ASSIGN(view.layout, fortran ? Layout::FortranContiguous(std::move(dtype), shape)
                                       : Layout::Contiguous(std::move(dtype), shape));
  SPANFLOW_ASSIGN(view.block, memory::AllocateHeap(view.layout.nbytes(), zeroed));
  view.data = view.block->address();
  return view;
}

}  // namespace spanflow::array
