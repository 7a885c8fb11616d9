// Reduction along some axes: by rows, where the elements of one result lie closest together, or by
// columns, where neighbouring results do.
//
// Owns: nothing beyond the call. Threads: thread-safe; splits over the runtime in a way that
// depends on the layout only. Attached: not needed.
// Fails: never; std::bad_alloc when there is no memory for partial results.
#pragma once

#include <cstddef>
#include <cstdint>

#include "array/iterate.h"
#include "array/loader.h"
#include "array/reduce.h"
#include "array/run.h"
#include "base/dtype.h"
#include "simd/kernels.h"

namespace spanflow::array {

// A reduction with its axes sorted into kept and reduced ones. There is at least one element.
struct AxesTask {
  simd::ReductionKernel kernel;
  simd::ColumnKernel column;  // may have no functions: then rows are used
  base::Kind compute;         // of the operand
  base::Kind result;          // what the kernels write
  double ddof;
  bool in_order = false;  // the elements of a result are wanted in C order (places)

  const base::DType* in_type;
  std::byte* in;
  const base::DType* out_type;
  std::byte* out;
  const base::DType* where_type = nullptr;  // of the mask; null: every element counts
  std::byte* where = nullptr;

  int kept = 0;  // axes
  int64_t kept_shape[base::kMaxDims];
  int64_t kept_strides[base::kMaxDims];  // of the input
  int64_t out_strides[base::kMaxDims];
  int64_t kept_where_strides[base::kMaxDims];
  int reduced = 0;  // axes
  int64_t reduced_shape[base::kMaxDims];
  int64_t reduced_strides[base::kMaxDims];
  int64_t reduced_where_strides[base::kMaxDims];
};

void ReduceAxes(const AxesTask& task, const RunOptions& options);

// For what needs the elements of a result together. There is at least one element.
struct ResultLines {
  ResultLines(const View& in, const AxisSet& reduced, base::Kind kind);

  Walk starts;         // the first element of each result, in C order of the results
  LoadPlan load;       // the elements of the first result, in the order of memory
  int64_t count = 1;   // results
  int64_t length = 1;  // elements of each
};

}  // namespace spanflow::array
