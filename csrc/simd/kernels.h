// The kernels of the SIMD target in use: inner loops over contiguous, native-endian runs, and the
// loaders and storers that turn any other run of memory into one.
//
// Owns: nothing; every function works on memory that the caller holds.
// Threads: thread-safe; UseTarget is for tests and the lab and must not race with running kernels.
// Attached: not needed.
// Fails: kernels cannot fail. A missing op x kind cell is a null pointer.
//
// No alignment is required of any pointer. `out` may be exactly one of the inputs (in place);
// partial overlap is the caller's to avoid.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "simd/ops.h"

namespace spanflow::simd {

// out[i] = op(in[0][i], …), n elements. `in` has as many pointers as the operation's arity.
using ElementwiseFn = void (*)(const void* const* in, void* out, size_t n);

struct ElementwiseKernel {
  ElementwiseFn run = nullptr;  // ordinary stores: the output is read again soon
  // Stores past the caches, for outputs that do not fit into them; other threads see them after
  // FlushStreams.
  ElementwiseFn stream = nullptr;
};
void FlushStreams();
ElementwiseKernel FindKernel(Op op, base::Kind compute_kind);

// A chain of operations on one run: each link works on the result so far and on other operands, the
// first one on others only; the last result is written. The same bits as one after the other.
struct ChainOperand {
  const std::byte* at = nullptr;  // null: the result so far
  bool repeats = false;           // one number again and again: 64 bytes of it, at least
};
struct ChainLink {
  Op op{};                           // IsChainable
  std::array<ChainOperand, 3> in{};  // of an operation of three, only the first is a result
};
inline constexpr size_t kMaxLinks = 8;
struct Accumulator;
struct ChainKernel {
  void (*run)(std::span<const ChainLink> links, void* out, size_t n) = nullptr;
  // Adds the results to an accumulator of Sum and writes none, with the bits that Sum gives.
  void (*sum)(std::span<const ChainLink> links, size_t n, Accumulator* acc) = nullptr;
};
ChainKernel FindChain(base::Kind compute_kind);  // null but for float32 and float64

// The exact comparison of a signed integer with a uint64, in either order, whose common kind
// (float64) would lose bits, and the kinds that its operands are loaded as. `run` is null for
// operations that compare nothing and for other kinds.
struct MixedCompare {
  ElementwiseFn run = nullptr;
  base::Kind first{}, second{};
};
MixedCompare FindMixedCompare(Op op, base::Kind first, base::Kind second);

// out[i] = (to)in[i], n elements, both native and contiguous. Every pair of numeric kinds exists.
using CastFn = void (*)(const void* in, void* out, size_t n);
CastFn FindCast(base::Kind from, base::Kind to);

// The same with numbers that an integer `to` cannot hold as the nearest one that it can, and NaN as
// 0. `from` is a compute kind and real where `to` is an integer.
CastFn FindSaturatingCast(base::Kind from, base::Kind to);

// out[i] = (to)in[0][i] * *in[1] + *in[2], each step rounded to `to` (f32 or f64), the kind of the
// two numbers. Null for pairs that a cast to `to` comes before.
ElementwiseKernel FindAffine(base::Kind from, base::Kind to);

// out[i] = in[i] with its bytes reversed in units of `unit` (2, 4 or 8) bytes; n units. May be in
// place. For unit 1 the result is null.
CastFn FindByteSwap(int unit);

// Gather: out is contiguous; item i lies at in + i * stride. Scatter: the reverse.
// Any itemsize; 1, 2, 4, 8 and 16 are fast, and so are stride == itemsize and stride == 0.
void Gather(const std::byte* in, ptrdiff_t stride, size_t itemsize, std::byte* out, size_t n);
void Scatter(const std::byte* in, std::byte* out, ptrdiff_t stride, size_t itemsize, size_t n);

// Selection. Both return how many items were written; mask and items are contiguous.
size_t Compress(const std::byte* in, size_t itemsize, const uint8_t* mask, size_t n,
                std::byte* out);
size_t CountTrue(const uint8_t* mask, size_t n);

// A reduction's running state: plain bytes, so that it can lie on a stack, in a vector of partial
// results or in a pipeline token. 16-byte aligned.
struct alignas(16) Accumulator {
  std::byte bytes[64];
};

// The inner loops of one reduction for one compute kind. Merging partial results in a fixed order
// makes results independent of the number of threads.
struct ReductionKernel {
  void (*init)(Accumulator* acc) = nullptr;
  void (*update)(Accumulator* acc, const void* in,
                 size_t n) = nullptr;                                   // any n; accurate for any n
  void (*merge)(Accumulator* acc, const Accumulator* other) = nullptr;  // `other` came after
  // Writes one element of the result kind (see ReduceRule). `ddof` matters for var and std only.
  void (*finish)(const Accumulator* acc, double ddof, void* out) = nullptr;
  // Whether nothing can change the result any more, whether it comes after what was seen or before
  // it; null where something always can.
  bool (*done)(const Accumulator* acc) = nullptr;
};
// `compute_kind` is the operand's kind with f16 and bf16 as f32; the result for those is f32 and
// the caller rounds it. Min and Max of zero elements are the caller's error to raise.
ReductionKernel FindReduction(Reduction reduction, base::Kind compute_kind);
base::Kind ResultKind(Reduction reduction, base::Kind operand_kind);

// What of a block of n items is not NaN: the block itself, or what was written to `out`. Sets n to
// how many items that is. `ahead` bytes further is readable memory that is worth asking for, or 0.
// Blocks have at most kSiftBytes. Null for kinds without NaN.
inline constexpr size_t kSiftBytes = 4096;
using SiftFn = const std::byte* (*)(const std::byte* in, size_t* n, size_t ahead, std::byte* out);
SiftFn FindSift(base::Kind compute_kind);

// A running fold: out[i] is the result for in[0 … i], n elements of the compute kind, and for what
// the state has seen before. May be in place. `compute_kind` is ResultKind of the operand's kind.
struct ScanKernel {
  void (*init)(Accumulator* acc) = nullptr;
  void (*run)(Accumulator* acc, const void* in, void* out, size_t n) = nullptr;
};
ScanKernel FindScan(Scan scan, base::Kind compute_kind);
base::Kind ResultKind(Scan scan, base::Kind operand_kind);

// Sorting and searching go through keys: unsigned integers, as wide as the items, whose order is
// that of the items, with NaN behind all numbers. Real kinds only.
struct KeyOrder {
  bool descending = false;     // NaN stays last
  bool equal_is_same = false;  // items that compare equal, and all NaN, have the same key
};
// Items at `data`, `data + stride`, …, in ascending order of their keys.
struct SortedRun {
  const std::byte* data;
  ptrdiff_t stride;
  int64_t count;
};
struct KeyKernel {
  // n items to keys and back, also in place. Keys that were made the same decode to one of the
  // items.
  CastFn encode[2][2] = {};  // [descending][equal_is_same]
  CastFn decode[2] = {};     // [descending]
  // found[i] (int64) = how many sorted items come before the ascending key wanted[i], in which
  // equal ones are the same; and those equal to it, with behind_equal. Of items in another order
  // some number of them.
  void (*locate)(const SortedRun& sorted, const void* wanted, size_t n, bool behind_equal,
                 void* found) = nullptr;
};
KeyKernel FindKeys(base::Kind kind);

// Sorts n keys of 4 or 8 bytes, which are aligned. Null for other widths.
using SortFn = void (*)(void* keys, size_t n);
SortFn FindSort(size_t key_bytes);

// Several reductions in one walk over the data, with the same bits as one by one: adds n elements
// to those accumulators that are not null. Null for kinds where there is nothing to share.
struct Summary {
  Accumulator* sum = nullptr;  // of kSum and kMean
  Accumulator* min = nullptr;
  Accumulator* max = nullptr;
  Accumulator* moments = nullptr;  // of kVar and kStd
};
using SummaryFn = void (*)(const Summary& to, const void* in, size_t n);
SummaryFn FindSummary(base::Kind compute_kind);

// Reduction along an outer axis: `rows` rows of n contiguous elements, `row_stride` bytes apart,
// are folded column by column into n accumulators' worth of plain state.
// State layout: `width` arrays of n elements of kind `state_kind` behind one another, aligned for
// that kind.
struct ColumnKernel {
  base::Kind state_kind = base::Kind::kF64;
  int width = 0;  // state arrays: 1 for sum, min, …; more for moments
  void (*init)(void* state, size_t n) = nullptr;
  // `seen` is how many rows were folded before.
  void (*update)(void* state, const std::byte* in, ptrdiff_t row_stride, size_t rows, size_t n,
                 int64_t seen) = nullptr;
  // Folds `other` (other_rows rows, which came after) into state (seen rows).
  void (*merge)(void* state, const void* other, size_t n, int64_t seen,
                int64_t other_rows) = nullptr;
  void (*finish)(const void* state, size_t n, int64_t rows, double ddof, void* out) = nullptr;
};
ColumnKernel FindColumnReduction(Reduction reduction, base::Kind compute_kind);

// What memory gives when nothing else is done: nbytes (a multiple of 256; the rest is left out)
// that are read, written, or written past the caches to what is aligned to 64 bytes. `read` returns
// a byte that depends on all that was read; it asks for what lies `ahead` bytes further, unless 0.
struct TrafficKernel {
  uint8_t (*read)(const std::byte* in, size_t nbytes, size_t ahead) = nullptr;
  void (*write)(std::byte* out, size_t nbytes) = nullptr;
  void (*stream)(std::byte* out, size_t nbytes) = nullptr;  // no fence behind it
};
TrafficKernel FindTraffic();

// SIMD targets of this build and machine, best first ("AVX3", "AVX2", "SSE4", …), and the one in
// use. UseTarget("") goes back to the best; it returns false for a name that is not available.
std::vector<std::string> AvailableTargets();
std::string TargetInUse();
bool UseTarget(const std::string& name);

}  // namespace spanflow::simd
