// Reductions along an outer axis: rows are folded into one state per column. The inner loops are
// plain C++ that the compiler turns into vectors for each target.
#include <numeric>

#include "simd/column_rules.h"
#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/columns.cc"
#include "hwy/foreach_target.h"
#include "simd/blocks-inl.h"
#include "simd/tables.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

using base::Kind;

// Rows that are folded into each other before the state is touched, how much state stays in L1
// while all rows pass by, and how much of a row is staged at a time.
constexpr size_t kRowGroup = 8;
constexpr size_t kStripeBytes = 8192;
constexpr size_t kStageBytes = 2048;
constexpr size_t kMaxWidth = 3;
constexpr size_t kMaxBlockBytes = 1024;
constexpr size_t kCacheBytes = size_t{1} << 17;
constexpr size_t kWideBytes = 16384;

// Folds kRowGroup rows or one row of `columns` items, a multiple of the block, into the state
// arrays. `seen` rows were folded before.
using FoldFn = void (*)(std::byte* const* states, const std::byte* in, ptrdiff_t row_stride,
                        size_t columns, double seen);

// What the code around the loops has to know of a reduction, so that it exists once.
struct ColumnShape {
  decltype(ColumnKernel::init) init;
  decltype(ColumnKernel::merge) merge;
  FoldFn fold_group;
  FoldFn fold_row;
  size_t block;        // columns that the loops take at a time
  size_t item_bytes;   // of what the loops read
  size_t state_bytes;  // of one column in one state array
  size_t width;        // state arrays
};

// The rows as they lie in memory.
struct Rows {
  const std::byte* in;
  ptrdiff_t stride;
  size_t count;
  size_t item_bytes;
  CastFn convert;  // to what the loops read; null where that is the same
};

// Columns that the compiler makes whole vectors of, without a loop for a rest.
template <class T>
inline constexpr size_t kBlockColumns = sizeof(T) >= 4 ? 16 : 64 / sizeof(T);

template <class Rule, size_t kRows>
void FoldBy(std::byte* const* states, const std::byte* in, ptrdiff_t row_stride, size_t columns,
            double) {
  using State = typename Rule::State;
  constexpr size_t kBlock = kBlockColumns<typename Rule::T>;
  using T = typename Rule::T;
  State* HWY_RESTRICT state = reinterpret_cast<State*>(states[0]);
  for (; columns != 0; columns -= kBlock, state += kBlock, in += kBlock * sizeof(T)) {
    for (size_t i = 0; i < kBlock; ++i) {
      auto partial = Rule::First();
      for (size_t r = 0; r < kRows; ++r) {
        const ptrdiff_t row = static_cast<ptrdiff_t>(r) * row_stride;
        partial = Rule::Fold(partial, LoadOne<T>(in + row + i * sizeof(T)));
      }
      state[i] = Rule::Join(state[i], partial);
    }
  }
}

// The compiler does not make vectors of a comparison that lets NaN through.
template <class T, bool kMax, size_t kRows>
void FoldFloatExtremes(std::byte* const* states, const std::byte* in, ptrdiff_t row_stride,
                       size_t columns, double) {
  const hn::ScalableTag<T> d;
  constexpr size_t kStep = hn::MaxLanes(d) * sizeof(T);
  for (size_t at = 0; at < columns * sizeof(T); at += kStep) {
    auto best = Load(d, states[0] + at);
    for (size_t r = 0; r < kRows; ++r) {
      const auto v = Load(d, in + static_cast<ptrdiff_t>(r) * row_stride + at);
      const auto better = kMax ? hn::Gt(v, best) : hn::Lt(v, best);
      best = hn::IfThenElse(hn::Or(better, hn::IsNaN(v)), v, best);
    }
    Store(best, d, states[0] + at);
  }
}

// The moments of a few rows of one block, merged into those of the rows before. The promise that
// the arrays do not overlap counts only for parameters.
template <class T, size_t kRows>
HWY_INLINE void FoldMomentsOfBlock(double* HWY_RESTRICT pivot, double* HWY_RESTRICT mean,
                                   double* HWY_RESTRICT m2, const std::byte* in,
                                   ptrdiff_t row_stride, double seen) {
  constexpr double kCount = static_cast<double>(kRows);
  const double share = kCount / (seen + kCount);
  const double weight = seen * share;
  for (size_t i = 0; i < kBlockColumns<T>; ++i) {
    double items[kRows];
    for (size_t r = 0; r < kRows; ++r) {
      const ptrdiff_t row = static_cast<ptrdiff_t>(r) * row_stride;
      items[r] = static_cast<double>(LoadOne<T>(in + row + i * sizeof(T)));
    }
    const double origin = seen == 0 ? items[0] : pivot[i];
    double sum = 0;
    for (size_t r = 0; r < kRows; ++r) sum += items[r] -= origin;
    const double center = sum * (1 / kCount);
    double squares = 0;
    for (size_t r = 0; r < kRows; ++r) squares += (items[r] - center) * (items[r] - center);
    const double delta = center - mean[i];
    pivot[i] = origin;
    mean[i] += delta * share;
    m2[i] += squares + delta * delta * weight;
  }
}

template <class T, size_t kRows>
void FoldMoments(std::byte* const* states, const std::byte* in, ptrdiff_t row_stride,
                 size_t columns, double seen) {
  constexpr size_t kBlock = kBlockColumns<T>;
  for (size_t c = 0; c < columns; c += kBlock, in += kBlock * sizeof(T)) {
    const auto at = [states, c](size_t k) { return reinterpret_cast<double*>(states[k]) + c; };
    FoldMomentsOfBlock<T, kRows>(at(0), at(1), at(2), in, row_stride, seen);
  }
}

// All rows of some whole blocks of columns.
void FoldBlocks(const ColumnShape& shape, std::byte* const* states, const Rows& rows,
                size_t columns, double seen) {
  const std::byte* in = rows.in;
  size_t row = 0;
  for (; row + kRowGroup <= rows.count; row += kRowGroup) {
    shape.fold_group(states, in, rows.stride, columns, seen + static_cast<double>(row));
    in += static_cast<ptrdiff_t>(kRowGroup) * rows.stride;
  }
  for (; row < rows.count; ++row, in += rows.stride) {
    shape.fold_row(states, in, rows.stride, columns, seen + static_cast<double>(row));
  }
}

// The same for rows that have to be converted or do not fill their last block: a few of them at a
// time are brought to where there is room.
void FoldStaged(const ColumnShape& shape, std::byte* const* states, const Rows& rows,
                size_t columns, double seen) {
  alignas(64) std::byte stage[kRowGroup][kStageBytes];
  const size_t padded = (columns + shape.block - 1) / shape.block * shape.block;
  const size_t used = columns * shape.item_bytes;
  for (auto& row : stage) std::memset(row + used, 0, padded * shape.item_bytes - used);
  const std::byte* in = rows.in;
  for (size_t row = 0; row < rows.count; row += kRowGroup) {
    const size_t group = std::min(kRowGroup, rows.count - row);
    for (size_t r = 0; r < group; ++r, in += rows.stride) {
      if (rows.convert != nullptr) {
        rows.convert(in, stage[r], columns);
      } else {
        std::memcpy(stage[r], in, used);
      }
    }
    const Rows staged = {stage[0], static_cast<ptrdiff_t>(kStageBytes), group, 0, nullptr};
    FoldBlocks(shape, states, staged, padded, seen + static_cast<double>(row));
  }
}

// The columns after the last whole block, whose state lies in a block of its own meanwhile.
void FoldRest(const ColumnShape& shape, std::byte* const* states, const Rows& rows, size_t columns,
              double seen) {
  alignas(64) std::byte blocks[kMaxWidth][kMaxBlockBytes];
  std::byte* padded[kMaxWidth];
  const size_t used = columns * shape.state_bytes;
  for (size_t k = 0; k < shape.width; ++k) {
    padded[k] = blocks[k];
    std::memcpy(blocks[k], states[k], used);
    std::memset(blocks[k] + used, 0, shape.block * shape.state_bytes - used);
  }
  FoldStaged(shape, padded, rows, columns, seen);
  for (size_t k = 0; k < shape.width; ++k) std::memcpy(states[k], blocks[k], used);
}

// All columns of some rows, stripe by stripe.
void FoldStripes(const ColumnShape& shape, std::byte* state, const Rows& rows, size_t n,
                 double seen) {
  const size_t most = rows.convert != nullptr ? kStageBytes / shape.item_bytes
                                              : kStripeBytes / shape.state_bytes / shape.width;
  const size_t stripe = most / shape.block * shape.block;
  const size_t whole = n - n % shape.block;
  for (size_t c = 0; c < n;) {
    const size_t columns = c < whole ? std::min(stripe, whole - c) : n - c;
    std::byte* states[kMaxWidth];
    for (size_t k = 0; k < shape.width; ++k) states[k] = state + (k * n + c) * shape.state_bytes;
    Rows part = rows;
    part.in += c * rows.item_bytes;
    if (c == whole) {
      FoldRest(shape, states, part, columns, seen);
    } else if (rows.convert != nullptr) {
      FoldStaged(shape, states, part, columns, seen);
    } else {
      FoldBlocks(shape, states, part, columns, seen);
    }
    c += columns;
  }
}

// As many rows at a time as fit into L2 beside their state, so that memory is read from front to
// back; of very long rows more than fit, because each time costs a pass over their state.
void FoldRows(const ColumnShape& shape, std::byte* state, Rows rows, size_t n, double seen) {
  const size_t row_bytes = n * rows.item_bytes;
  const size_t state_bytes = n * shape.state_bytes * shape.width;
  size_t chunk = state_bytes > kCacheBytes ? 64 : kCacheBytes / row_bytes / kRowGroup * kRowGroup;
  chunk = std::max(chunk, kRowGroup);
  const size_t count = rows.count;
  for (size_t row = 0; row < count; row += chunk) {
    rows.count = std::min(chunk, count - row);
    FoldStripes(shape, state, rows, n, seen + static_cast<double>(row));
    rows.in += static_cast<ptrdiff_t>(rows.count) * rows.stride;
  }
}

// Rows that lie behind one another and do not fill whole blocks: several of them are one longer row
// that does. Each of the several has its own state until all are merged. Returns the rows done.
size_t FoldWide(const ColumnShape& shape, std::byte* state, const Rows& rows, size_t n,
                int64_t seen) {
  const size_t times = shape.block / std::gcd(shape.block, n);
  const size_t row_state = n * shape.state_bytes;
  alignas(64) std::byte wide[kWideBytes];
  alignas(64) std::byte one[kWideBytes];
  const bool fits = times * row_state * shape.width <= kWideBytes;
  if (rows.stride != static_cast<ptrdiff_t>(n * rows.item_bytes) || times == 1 || !fits ||
      rows.count < 4 * times) {
    return 0;
  }
  shape.init(wide, n * times);
  Rows wide_rows = rows;
  wide_rows.stride *= static_cast<ptrdiff_t>(times);
  wide_rows.count /= times;
  FoldRows(shape, wide, wide_rows, n * times, 0);
  const int64_t folded = static_cast<int64_t>(wide_rows.count);
  for (size_t t = 0; t < times; ++t) {
    for (size_t k = 0; k < shape.width; ++k) {
      std::memcpy(one + k * row_state, wide + (k * times + t) * row_state, row_state);
    }
    shape.merge(state, one, n, seen + static_cast<int64_t>(t) * folded, folded);
  }
  return wide_rows.count * times;
}

void UpdateState(const ColumnShape& shape, void* state, Rows rows, size_t n, int64_t seen) {
  if (n == 0) return;
  std::byte* const bytes = static_cast<std::byte*>(state);
  const size_t done = FoldWide(shape, bytes, rows, n, seen);
  rows.in += static_cast<ptrdiff_t>(done) * rows.stride;
  rows.count -= done;
  FoldRows(shape, bytes, rows, n, static_cast<double>(seen) + static_cast<double>(done));
}

template <class Rule, size_t kRows>
constexpr FoldFn FoldOf() {
  if constexpr (std::is_floating_point_v<typename Rule::State> && Rule::kExtreme) {
    return &FoldFloatExtremes<typename Rule::T, Rule::kLargest, kRows>;
  } else {
    return &FoldBy<Rule, kRows>;
  }
}

template <class Rule>
inline constexpr ColumnShape kRuleShape = {&InitColumns<Rule>,
                                           &MergeColumns<Rule>,
                                           FoldOf<Rule, kRowGroup>(),
                                           FoldOf<Rule, 1>(),
                                           kBlockColumns<typename Rule::T>,
                                           sizeof(typename Rule::T),
                                           sizeof(typename Rule::State),
                                           1};

template <class T>
inline constexpr ColumnShape kMomentsShape = {&InitColumnMoments<1>,
                                              &MergeColumnMoments<1>,
                                              &FoldMoments<T, kRowGroup>,
                                              &FoldMoments<T, 1>,
                                              kBlockColumns<T>,
                                              sizeof(T),
                                              sizeof(double),
                                              kMomentWidth};

// `kLoopKind` is what the loop reads; items of another kind are converted to it.
template <Kind kKind, Kind kLoopKind>
CastFn Conversion() {
  if constexpr (kKind == kLoopKind) return nullptr;
  return CurrentTables().casts[static_cast<size_t>(kKind)][static_cast<size_t>(kLoopKind)];
}

template <Kind kKind, class Rule>
void UpdateColumns(void* state, const std::byte* in, ptrdiff_t row_stride, size_t rows, size_t n,
                   int64_t seen) {
  static_assert(kBlockColumns<typename Rule::T> * sizeof(typename Rule::State) <= kMaxBlockBytes);
  // The parts of complex numbers are columns of their own.
  constexpr size_t kColumns = Rule::kColumns;
  const Rows source = {in, row_stride, rows, kItemBytes<kKind> / kColumns,
                       kColumns == 2 ? nullptr : Conversion<kKind, Rule::kLoopKind>()};
  UpdateState(kRuleShape<typename Rule::Loop>, state, source, n * kColumns, seen);
}

template <Kind kKind>
void UpdateMoments(void* state, const std::byte* in, ptrdiff_t row_stride, size_t rows, size_t n,
                   int64_t seen) {
  constexpr size_t kColumns = KindLane<kKind>::kLanes;
  constexpr bool kFloating = base::IsFloat(kKind) || base::IsComplex(kKind);
  // The loops compute in f64 whatever they read: short integers are exact as f32, too.
  constexpr Kind kLoopKind = kFloating ? kKind : kItemBytes<kKind> <= 2 ? Kind::kF32 : Kind::kF64;
  using T = Lane<kLoopKind>;
  static_assert(kBlockColumns<T> * sizeof(double) <= kMaxBlockBytes);
  const Rows source = {in, row_stride, rows, kItemBytes<kKind> / kColumns,
                       Conversion<kKind, kLoopKind>()};
  UpdateState(kMomentsShape<T>, state, source, n * kColumns, seen);
}

template <Kind kKind, class Rule>
ColumnKernel KernelOf() {
  return {Rule::kStateKind,    1,
          &InitColumns<Rule>,  &UpdateColumns<kKind, Rule>,
          &MergeColumns<Rule>, &FinishColumns<Rule>};
}

template <Kind kKind, bool kRoot>
ColumnKernel MomentsKernel() {
  constexpr size_t kColumns = KindLane<kKind>::kLanes;
  using Real = std::conditional_t<std::is_floating_point_v<Lane<kKind>>, Lane<kKind>, double>;
  return {kColumns == 2 ? Kind::kC128 : Kind::kF64,
          static_cast<int>(kMomentWidth),
          &InitColumnMoments<kColumns>,
          &UpdateMoments<kKind>,
          &MergeColumnMoments<kColumns>,
          &FinishColumnMoments<Real, kColumns, kRoot>};
}

template <Kind kKind>
void FillKind(Tables* tables) {
  const auto set = [tables](Reduction reduction, const ColumnKernel& kernel) {
    tables->columns[static_cast<size_t>(reduction)][static_cast<size_t>(kKind)] = kernel;
  };
  set(Reduction::kSum, KernelOf<kKind, SumRule<kKind, false>>());
  set(Reduction::kMean, KernelOf<kKind, SumRule<kKind, true>>());
  if constexpr (!base::IsComplex(kKind)) {
    set(Reduction::kProd, KernelOf<kKind, ProductRule<kKind>>());
    set(Reduction::kMin, KernelOf<kKind, ExtremeRule<kKind, false>>());
    set(Reduction::kMax, KernelOf<kKind, ExtremeRule<kKind, true>>());
  }
  set(Reduction::kAny, KernelOf<kKind, FoundRule<false>>());
  set(Reduction::kAll, KernelOf<kKind, FoundRule<true>>());
  set(Reduction::kCountNonzero, KernelOf<kKind, CountRule>());
  set(Reduction::kVar, MomentsKernel<kKind, false>());
  set(Reduction::kStd, MomentsKernel<kKind, true>());
}

void Fill(Tables* tables) {
  ForEachKind([tables]<Kind kKind>() {
    if constexpr (Contains(kEveryKind, kKind)) FillKind<kKind>(tables);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Columns)
#endif
