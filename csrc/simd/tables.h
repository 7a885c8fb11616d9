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
  ElementwiseFn mixed_compares[kNumOps][2] = {};  // [1]: the unsigned operand is the first
  ChainKernel chains[base::kNumKinds];
  CastFn casts[base::kNumKinds][base::kNumKinds] = {};
  CastFn saturating_casts[base::kNumKinds][base::kNumKinds] = {};  // null: the plain one
  ElementwiseKernel affine[base::kNumKinds][2];                    // to f32, to f64
  ReductionKernel reductions[kNumReductions][base::kNumKinds];
  SiftFn sifts[base::kNumKinds] = {};
  SummaryFn summaries[base::kNumKinds] = {};
  ColumnKernel columns[kNumReductions][base::kNumKinds];
  ScanKernel scans[kNumScans][base::kNumKinds];
  KeyKernel keys[base::kNumKinds];
  SortFn sorts[9] = {};       // by the bytes of a key
  CastFn byte_swaps[9] = {};  // by unit
  decltype(&Gather) gather = nullptr;
  decltype(&Scatter) scatter = nullptr;
  decltype(&Compress) compress = nullptr;
  decltype(&CountTrue) count_true = nullptr;
  TrafficKernel traffic;
};

// The families of kernels, each in its own source, which defines Fill##Name. `target` is an index
// into Highway's dispatch tables.
// Nans come after the families of what they leave NaN out of.
#define SPANFLOW_FAMILIES(ROW) \
  ROW(Arithmetic)              \
  ROW(Chains)                  \
  ROW(Rounding)                \
  ROW(Integer)                 \
  ROW(Exponential)             \
  ROW(Trigonometry)            \
  ROW(Logic)                   \
  ROW(Casts)                   \
  ROW(Numbers)                 \
  ROW(Folds)                   \
  ROW(Moments)                 \
  ROW(Places)                  \
  ROW(Shapes)                  \
  ROW(Nans)                    \
  ROW(Scans)                   \
  ROW(Columns)                 \
  ROW(Order)                   \
  ROW(Moves)                   \
  ROW(Compress)                \
  ROW(Probe)

#define SPANFLOW_ROW(Name) void Fill##Name(size_t target, Tables* tables);
SPANFLOW_FAMILIES(SPANFLOW_ROW)
#undef SPANFLOW_ROW

// Ends the source of a family, after the code of every target: Fill##Name calls the Fill of one.
#define SPANFLOW_FAMILY(Name)                                                                  \
  namespace spanflow::simd {                                                                   \
  namespace {                                                                                  \
  HWY_EXPORT(Fill);                                                                            \
  }                                                                                            \
  void Fill##Name(size_t target, Tables* tables) { HWY_DISPATCH_TABLE(Fill)[target](tables); } \
  }

// The tables of the target in use; chosen at the first call.
const Tables& CurrentTables();

}  // namespace spanflow::simd
