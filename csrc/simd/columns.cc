// Reductions along an outer axis: rows are folded into one state per column. The inner loops are
// plain C++ that the compiler turns into vectors for each target.
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

// Rows that are folded into each other before the state is touched, and how much state stays in L1
// while all rows pass by.
constexpr size_t kRowGroup = 8;
constexpr size_t kStripeBytes = 8192;
constexpr size_t kMaxWidth = 3;
constexpr size_t kMaxBlockBytes = 1024;

// Folds kRowGroup rows or one row of `columns` items, a multiple of the block, into the state
// arrays. `seen` rows were folded before.
using FoldFn = void (*)(std::byte* const* states, const std::byte* in, ptrdiff_t row_stride,
                        size_t columns, double seen);

// What the code around the loops has to know of a reduction, so that it exists once.
struct ColumnShape {
  FoldFn fold_group;
  FoldFn fold_row;
  size_t block;        // columns that the loops take at a time
  size_t item_bytes;
  size_t state_bytes;  // of one column in one state array
  size_t width;        // state arrays
};

// Columns of a kind that the compiler makes whole vectors of, without a loop for a rest.
template <class T>
inline constexpr size_t kBlockColumns = sizeof(T) >= 4 ? 16 : 64 / sizeof(T);

template <class Rule, size_t kRows>
void FoldRows(std::byte* const* states, const std::byte* in, ptrdiff_t row_stride, size_t columns,
              double) {
  using State = typename Rule::State;
  constexpr size_t kBlock = kBlockColumns<typename Rule::T>;
  constexpr size_t kBytes = Rule::kItemBytes;
  State* HWY_RESTRICT state = reinterpret_cast<State*>(states[0]);
  for (; columns != 0; columns -= kBlock, state += kBlock, in += kBlock * kBytes) {
    for (size_t i = 0; i < kBlock; ++i) {
      auto partial = Rule::First();
      for (size_t r = 0; r < kRows; ++r) {
        const std::byte* const item = in + static_cast<ptrdiff_t>(r) * row_stride + i * kBytes;
        partial = Rule::Fold(partial, Rule::Load(item));
      }
      state[i] = Rule::Join(state[i], partial);
    }
  }
}

// The moments of a few rows, merged into those of the rows before. `in` is one part of a number.
template <Kind kKind, size_t kRows>
HWY_INLINE void FoldPart(double* HWY_RESTRICT mean, double* HWY_RESTRICT m2, const std::byte* in,
                         ptrdiff_t row_stride, double share, double weight) {
  using T = Lane<kKind>;
  constexpr double kCount = static_cast<double>(kRows);
  for (size_t i = 0; i < kBlockColumns<T>; ++i) {
    double items[kRows];
    double sum = 0;
    for (size_t r = 0; r < kRows; ++r) {
      const std::byte* const from =
          in + static_cast<ptrdiff_t>(r) * row_stride + i * kItemBytes<kKind>;
      const T item = LoadOne<T>(from);
      items[r] = kKind == Kind::kBool ? static_cast<double>(item != 0) : static_cast<double>(item);
      sum += items[r];
    }
    const double center = sum * (1 / kCount);
    double squares = 0;
    for (size_t r = 0; r < kRows; ++r) squares += (items[r] - center) * (items[r] - center);
    const double delta = center - mean[i];
    mean[i] += delta * share;
    m2[i] += squares + delta * delta * weight;
  }
}

template <Kind kKind, size_t kRows>
void FoldMoments(std::byte* const* states, const std::byte* in, ptrdiff_t row_stride,
                 size_t columns, double seen) {
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  constexpr size_t kBlock = kBlockColumns<Lane<kKind>>;
  constexpr double kCount = static_cast<double>(kRows);
  const double share = kCount / (seen + kCount);
  const double weight = seen * share;
  for (size_t c = 0; c < columns; c += kBlock, in += kBlock * kItemBytes<kKind>) {
    double* const m2 = reinterpret_cast<double*>(states[kParts]) + c;
    for (size_t part = 0; part < kParts; ++part) {
      double* const mean = reinterpret_cast<double*>(states[part]) + c;
      FoldPart<kKind, kRows>(mean, m2, in + part * sizeof(Lane<kKind>), row_stride, share, weight);
    }
  }
}

// All rows of some columns.
void FoldColumns(const ColumnShape& shape, std::byte* const* states, const std::byte* in,
                 ptrdiff_t row_stride, size_t rows, size_t columns, double seen) {
  size_t row = 0;
  for (; row + kRowGroup <= rows; row += kRowGroup) {
    shape.fold_group(states, in, row_stride, columns, seen + static_cast<double>(row));
    in += static_cast<ptrdiff_t>(kRowGroup) * row_stride;
  }
  for (; row < rows; ++row, in += row_stride) {
    shape.fold_row(states, in, row_stride, columns, seen + static_cast<double>(row));
  }
}

// The columns after the last whole block: they are copied to where a block has room.
void FoldRest(const ColumnShape& shape, std::byte* const* states, const std::byte* in,
              ptrdiff_t row_stride, size_t rows, size_t columns, double seen) {
  alignas(64) std::byte state_block[kMaxWidth][kMaxBlockBytes] = {};
  alignas(64) std::byte items[kRowGroup][kMaxBlockBytes] = {};
  std::byte* blocks[kMaxWidth];
  for (size_t k = 0; k < shape.width; ++k) {
    blocks[k] = state_block[k];
    std::memcpy(blocks[k], states[k], columns * shape.state_bytes);
  }
  for (size_t row = 0; row < rows; row += kRowGroup) {
    const size_t group = std::min(kRowGroup, rows - row);
    for (size_t r = 0; r < group; ++r, in += row_stride) {
      std::memcpy(items[r], in, columns * shape.item_bytes);
    }
    FoldColumns(shape, blocks, items[0], static_cast<ptrdiff_t>(kMaxBlockBytes), group,
                shape.block, seen + static_cast<double>(row));
  }
  for (size_t k = 0; k < shape.width; ++k) {
    std::memcpy(states[k], blocks[k], columns * shape.state_bytes);
  }
}

HWY_NOINLINE void UpdateState(const ColumnShape& shape, void* state, const std::byte* in,
                              ptrdiff_t row_stride, size_t rows, size_t n, int64_t seen) {
  const size_t stripe = kStripeBytes / shape.state_bytes / shape.width / shape.block * shape.block;
  const size_t whole = n - n % shape.block;
  for (size_t c = 0; c < n;) {
    const size_t columns = c < whole ? std::min(stripe, whole - c) : n - c;
    std::byte* states[kMaxWidth];
    for (size_t k = 0; k < shape.width; ++k) {
      states[k] = static_cast<std::byte*>(state) + (k * n + c) * shape.state_bytes;
    }
    const auto fold = c < whole ? &FoldColumns : &FoldRest;
    fold(shape, states, in + c * shape.item_bytes, row_stride, rows, columns,
         static_cast<double>(seen));
    c += columns;
  }
}

template <class Rule>
inline constexpr ColumnShape kRuleShape = {&FoldRows<Rule, kRowGroup>,
                                           &FoldRows<Rule, 1>,
                                           kBlockColumns<typename Rule::T>,
                                           Rule::kItemBytes,
                                           sizeof(typename Rule::State),
                                           1};

template <Kind kKind>
inline constexpr ColumnShape kMomentsShape = {&FoldMoments<kKind, kRowGroup>,
                                              &FoldMoments<kKind, 1>,
                                              kBlockColumns<Lane<kKind>>,
                                              kItemBytes<kKind>,
                                              sizeof(double),
                                              kMomentWidth<kKind>};

template <class Rule>
void UpdateColumns(void* state, const std::byte* in, ptrdiff_t row_stride, size_t rows, size_t n,
                   int64_t seen) {
  static_assert(kBlockColumns<typename Rule::T> * sizeof(typename Rule::State) <= kMaxBlockBytes);
  UpdateState(kRuleShape<typename Rule::Loop>, state, in, row_stride, rows, n * Rule::kColumns,
              seen);
}

template <Kind kKind>
void UpdateMoments(void* state, const std::byte* in, ptrdiff_t row_stride, size_t rows, size_t n,
                   int64_t seen) {
  static_assert(kBlockColumns<Lane<kKind>> * sizeof(double) <= kMaxBlockBytes);
  UpdateState(kMomentsShape<kKind>, state, in, row_stride, rows, n, seen);
}

template <class Rule>
constexpr ColumnKernel KernelOf() {
  return {Rule::kStateKind,     Rule::kWidth,        &InitColumns<Rule>,
          &UpdateColumns<Rule>, &MergeColumns<Rule>, &FinishColumns<Rule>};
}

template <Kind kKind, bool kRoot>
constexpr ColumnKernel MomentsKernel() {
  return {Kind::kF64,
          static_cast<int>(kMomentWidth<kKind>),
          &InitColumnMoments<kKind>,
          &UpdateMoments<kKind>,
          &MergeColumnMoments<kKind>,
          &FinishColumnMoments<kKind, kRoot>};
}

template <Kind kKind>
void FillKind(Tables* tables) {
  const auto set = [tables](Reduction reduction, const ColumnKernel& kernel) {
    tables->columns[static_cast<size_t>(reduction)][static_cast<size_t>(kKind)] = kernel;
  };
  constexpr Kind kTruth = TruthKind(kKind);
  set(Reduction::kSum, KernelOf<SumRule<kKind, false>>());
  set(Reduction::kMean, KernelOf<SumRule<kKind, true>>());
  if constexpr (!base::IsComplex(kKind)) {
    set(Reduction::kMin, KernelOf<ExtremeRule<kKind, false>>());
    set(Reduction::kMax, KernelOf<ExtremeRule<kKind, true>>());
  }
  set(Reduction::kAny, KernelOf<FoundRule<kTruth, false>>());
  set(Reduction::kAll, KernelOf<FoundRule<kTruth, true>>());
  set(Reduction::kCountNonzero, KernelOf<CountRule<kTruth>>());
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
namespace spanflow::simd {
namespace {
HWY_EXPORT(Fill);
}  // namespace
void FillColumns(size_t target, Tables* tables) { HWY_DISPATCH_TABLE(Fill)[target](tables); }
}  // namespace spanflow::simd
#endif  // HWY_ONCE
