// The kernels of one SIMD target as plain function pointers, and who fills them in.
//
// Owns: nothing; a Tables is filled once per target and then only read.
// Threads: thread-safe (CurrentTables is one atomic load; the fillers write to their argument
// only). Attached: not needed. Fails: never.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/kernels.h"

namespace spanflow::simd {

struct Tables {
  const char* target_name = "";
  ElementwiseKernel ops[kNumOps][base::kNumKinds];
  CastFn casts[base::kNumKinds][base::kNumKinds] = {};
  ReductionKernel reductions[kNumReductions][base::kNumKinds];
  SummaryFn summaries[base::kNumKinds] = {};
  ColumnKernel columns[kNumReductions][base::kNumKinds];
  CastFn byte_swaps[9] = {};  // by unit
  decltype(&Gather) gather = nullptr;
  decltype(&Scatter) scatter = nullptr;
  decltype(&Compress) compress = nullptr;
  decltype(&CountTrue) count_true = nullptr;
};

// One per family of kernels, each in its own source. `target` is an index into Highway's dispatch
// tables, which DispatchIndex gives.
void FillArithmetic(size_t target, Tables* tables);
void FillLogic(size_t target, Tables* tables);
void FillCasts(size_t target, Tables* tables);
void FillReductions(size_t target, Tables* tables);
void FillMoments(size_t target, Tables* tables);
void FillColumns(size_t target, Tables* tables);
void FillMoves(size_t target, Tables* tables);
void FillCompress(size_t target, Tables* tables);

// The tables of the target in use; chosen at the first call.
const Tables& CurrentTables();

}  // namespace spanflow::simd
